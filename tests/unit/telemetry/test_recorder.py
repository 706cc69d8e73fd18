"""What is recorded from many threads is all there, bounded, and nothing at all where nobody measures."""

from __future__ import annotations

import threading

from rag_lab.telemetry import current
from rag_lab.telemetry.recorder import Recording


def recording(label_sets: int = 50) -> Recording:
    return Recording(relative_error=0.005, label_sets=label_sets)


def test_counts_are_exact_whatever_threads_record() -> None:
    one = recording()

    def work(thread: int) -> None:
        for n in range(500):
            one.latencies("live", {"l1": 1.0 + n, "e2e": 2.0 + n}, queries=2)
            one.count("queries", 2, variant="live")
            one.gauge("in_flight", thread)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = one.snapshot()
    assert found.latencies["live", "l1"].count == found.latencies["live", "e2e"].count == 8000
    assert found.counters == {("queries", (("variant", "live"),)): 8000}
    gauge = found.gauges["in_flight", ()]
    assert (gauge.low, gauge.high, gauge.count, gauge.total) == (0, 7, 4000, 500 * 28)


def test_label_sets_are_bounded() -> None:
    one = recording(label_sets=3)
    for n in range(100):
        one.latencies(f"variant {n}", {"l1": 1.0})
        one.count("errors", where="respond", kind=f"kind {n}")
        one.gauge("depth", n, queue=str(n))
    found = one.snapshot()
    assert [variant for variant, _ in found.latencies] == ["variant 0", "variant 1", "variant 2", "other"]
    assert found.latencies["other", "l1"].count == 97
    assert found.counters["errors", (("kind", "other"), ("where", "other"))] == 97
    assert sum(found.counters.values()) == 100
    assert len(found.gauges) == 4


def test_a_snapshot_stays_as_it_was() -> None:
    one = recording()
    one.latencies("live", {"l1": 1.0})
    before = one.snapshot()
    one.latencies("live", {"l1": 1.0})
    assert before.latencies["live", "l1"].count == 1


def test_without_a_run_nothing_is_recorded() -> None:
    assert current.recorder() is current.OFF
    current.recorder().latencies("live", {"l1": 1.0})
    current.recorder().count("queries")
    current.recorder().gauge("in_flight", 1)


def test_a_recorder_is_at_work_in_every_thread_until_its_block_ends() -> None:
    one = recording()
    with current.use(one):
        thread = threading.Thread(target=lambda: current.recorder().count("queries"))
        thread.start()
        thread.join()
        with current.unmeasured():
            current.recorder().count("queries")
    current.recorder().count("queries")
    assert one.snapshot().counters == {("queries", ()): 1}
