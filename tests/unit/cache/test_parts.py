"""The small parts: counters, the circuit breaker, single flight."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.cache.breaker import Breaker
from rag_lab.cache.counters import BOUNDS_S, Counters, Counts, Snapshot
from rag_lab.cache.flights import Flights


class Clock:
    """Seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# Counters


def test_worked_counts() -> None:
    counters = Counters()
    counters.read(0.0015, hits=3, misses=1, bytes_read=100)
    before = counters.snapshot()
    counters.read(0.5, misses=2, corrupt=1)
    counters.add(bytes_written=7, false_hits=1)
    after = counters.snapshot()
    assert (after.hits, after.misses, after.reads, after.corrupt) == (3, 3, 2, 1)
    assert after.hit_rate == 0.5 and Counts().hit_rate is None
    later = after.since(before)
    assert (later.hits, later.misses, later.bytes_written, later.false_hits, later.reads) == (0, 2, 7, 1, 1)
    assert sum(later.latency) == 1


def test_layers_add_up() -> None:
    one, other = Counters(), Counters()
    one.read(0.0015, hits=3)
    other.read(0.5, misses=2)
    found = Snapshot({"a": one.snapshot(), "b": other.snapshot()}, 0, ()).together
    assert (found.hits, found.misses, found.reads, sum(found.latency)) == (3, 2, 2, 2)
    assert found.latency_ms(0.5) < 2 < 500 < found.latency_ms(1)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.floats(0.01, 1))
def test_a_quantile_is_the_upper_end_of_its_bucket(seconds: list[float], share: float) -> None:
    counters = Counters()
    for one in seconds:
        counters.read(one)
    counts = counters.snapshot()
    assert sum(counts.latency) == counts.reads == len(seconds)
    place = next(k for k in range(len(seconds)) if k + 1 >= share * len(seconds))
    true = sorted(seconds)[place]
    found = counts.latency_ms(share)
    assert found == pytest.approx(1000 * next((bound for bound in BOUNDS_S if true <= bound), float("inf")))


def test_no_reads_have_no_quantile() -> None:
    assert Counts().latency_ms(0.5) is None


def test_counters_lose_nothing_among_threads() -> None:
    counters = Counters()

    def count() -> None:
        for _ in range(1000):
            counters.read(1e-5, hits=1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot().hits == counters.snapshot().reads == 8000


# The breaker


def test_it_opens_after_failures_in_a_row_probes_once_and_closes() -> None:
    clock = Clock()
    breaker = Breaker(failures=3, cooldown_s=10, now=clock)
    for opens in (False, False, True):
        assert breaker.allows()
        assert breaker.fail(0.1) is opens
    assert not breaker.allows()
    clock.now = 10.0
    assert breaker.allows() and not breaker.allows()  # one probe
    breaker.fail(0.1)
    clock.now = 19.9
    assert not breaker.allows()
    clock.now = 20.0
    assert breaker.allows() and breaker.succeed() is True
    assert breaker.allows() and breaker.allows()


@pytest.mark.parametrize(("between", "opens"), [(5, True), (12, False)])
def test_successes_forgive_one_failure_in_ten(between: int, opens: bool) -> None:
    breaker = Breaker(failures=3, cooldown_s=10, now=Clock())
    for _ in range(50):
        breaker.fail(0.1)
        if not breaker.allows():
            break
        for _ in range(between):
            assert breaker.succeed() is False
    assert breaker.allows() is not opens


def test_where_failing_takes_long_probes_are_rarer() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, cooldown_s=1, now=clock)
    breaker.fail(0.6)
    clock.now = 5.9
    assert not breaker.allows()
    clock.now = 6.0
    assert breaker.allows()


def test_a_probe_that_never_came_back_does_not_keep_it_open() -> None:
    clock = Clock()
    breaker = Breaker(failures=1, cooldown_s=10, now=clock)
    breaker.fail(0.1)
    clock.now = 10.0
    assert breaker.allows()
    clock.now = 20.0
    assert breaker.allows()


# Single flight


def test_those_who_come_while_it_is_computed_get_the_same_value() -> None:
    flights: Flights[int] = Flights()
    mine, theirs = flights.board([b"a", b"b"])
    assert mine == [b"a", b"b"] and theirs == {}
    late, waiting = flights.board([b"b", b"c"])
    assert late == [b"c"] and list(waiting) == [b"b"]
    flights.land(mine, {b"a": 1, b"b": 2})
    assert waiting[b"b"].wait() == 2
    assert flights.board([b"a"])[0] == [b"a"]


def test_a_failed_flight_lands_without_a_value() -> None:
    flights: Flights[int] = Flights()
    mine, _ = flights.board([b"a"])
    _, waiting = flights.board([b"a"])
    flights.land(mine, {})
    assert waiting[b"a"].wait() is None
