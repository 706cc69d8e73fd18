"""The bounded memory: least recently used leave first, never more bytes than allowed, against a naive model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.cache.memory import ENTRY_BYTES, Memory
from rag_lab.cache.store import Item

SIZE = ENTRY_BYTES + len(b"n:l:0") + 10  # of an entry of these tests


def item(number: int, ttl_s: float = 60.0, layer: str = "l") -> Item:
    return Item(b"n:%s:%d" % (layer.encode(), number), b"x" * 10, ttl_s)


def test_the_least_recently_used_leaves_first_and_is_counted_in_its_layer() -> None:
    memory = Memory(3 * SIZE)
    memory.put_many([item(0), item(1), item(2)])
    memory.get_many([item(0).key])
    memory.put_many([item(3, layer="m")])
    found = memory.get_many([item(0).key, item(1).key, item(2).key, item(3, layer="m").key])
    assert [one is not None for one in found] == [True, False, True, True]
    assert memory.health().evictions == {"l": 1} and memory.bytes == 3 * SIZE


def test_what_is_too_large_alone_is_not_kept() -> None:
    memory = Memory(SIZE - 1)
    memory.put_many([item(0)])
    assert memory.get_many([item(0).key]) == [None] and memory.bytes == 0
    assert memory.health().evictions == {"l": 1}


def test_a_value_ends_by_the_monotonic_clock() -> None:
    now = 0.0
    memory = Memory(1 << 20, lambda: now)
    memory.put_many([item(0, ttl_s=2.0)])
    now = 1.999
    assert memory.get_many([item(0).key]) == [b"x" * 10]
    now = 2.0
    assert memory.get_many([item(0).key]) == [None] and memory.bytes == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 6), st.integers(1, 9)),
        st.tuples(st.just("get"), st.integers(0, 6), st.just(0)),
        st.tuples(st.just("delete"), st.integers(0, 6), st.just(0)),
        st.tuples(st.just("pass"), st.integers(1, 4), st.just(0)),
    ),
    max_size=60,
)


@given(STEPS, st.integers(0, 4))
def test_it_is_the_naive_model(steps: list[tuple[str, int, int]], room: int) -> None:
    """The model: a list in order of last use."""
    now = [0.0]
    memory = Memory(room * SIZE, lambda: now[0])
    model: list[tuple[int, float]] = []
    for what, number, ttl_s in steps:
        alive = [one for one in model if one[1] > now[0]]
        if what == "put":
            memory.put_many([item(number, ttl_s)])
            model = [one for one in model if one[0] != number] + [(number, now[0] + ttl_s)]
            model = model[len(model) - room :] if room < len(model) else model
        elif what == "get":
            expected = any(one[0] == number for one in alive)
            assert (memory.get_many([item(number).key]) != [None]) is expected
            model = [one for one in model if one[0] != number] + [one for one in alive if one[0] == number]
        elif what == "delete":
            memory.delete_many([item(number).key])
            model = [one for one in model if one[0] != number]
        else:
            now[0] += number
        assert memory.bytes == len(memory) * SIZE <= room * SIZE and len(memory) == len(model)


@pytest.mark.parametrize(("glob", "gone"), [(b"n:l:*", 2), (b"n:*:1", 1), (b"m:*", 0)])
def test_flush_takes_what_matches(glob: bytes, gone: int) -> None:
    memory = Memory(1 << 20)
    memory.put_many([item(0), item(1), item(2, layer="k")])
    assert memory.flush(glob) == gone and len(memory) == 3 - gone
