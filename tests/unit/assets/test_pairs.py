from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.assets.pairs import Pairs, PairStore
from rag_lab.assets.vectors import key

TEXTS = [f"text {number}" for number in range(9)]
KEYS = [key(text) for text in TEXTS]
NUMBER = {one: row for row, one in enumerate(KEYS)}


def pairs(rows: dict[tuple[int, int], float]) -> Pairs:
    passage, query = np.array([*rows], np.int64).reshape(-1, 2).T
    return Pairs(passage, query, np.array([*rows.values()], np.float32))


def read(store: PairStore, number: dict[bytes, int] = NUMBER) -> dict[tuple[int, int], float]:
    found = store.read(number, number)
    return dict(zip(zip(found.passage.tolist(), found.query.tolist(), strict=True), found.score.tolist(), strict=True))


def test_what_is_added_is_read_back_in_the_reader_s_own_numbers(tmp_path: Path) -> None:
    store = PairStore(tmp_path, "scorer")
    assert read(store) == {}
    store.add(pairs({(2, 1): 0.5, (2, 4): 0.25, (8, 1): -1}), KEYS, KEYS)
    store.add(pairs({(0, 0): 0.75}), KEYS, KEYS)
    assert read(PairStore(tmp_path, "scorer")) == {(2, 1): 0.5, (2, 4): 0.25, (8, 1): -1, (0, 0): 0.75}
    assert read(store, {KEYS[2]: 70, KEYS[4]: 5}) == {(70, 5): 0.25}  # another corpus, which shares two texts
    assert read(PairStore(tmp_path, "another")) == {}
    assert len(list((tmp_path / "scorer").iterdir())) == 2


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.dictionaries(st.tuples(st.integers(0, 8), st.integers(0, 8)), st.sampled_from([0, 0.5]), min_size=1))
)
def test_segments_unite(tmp_path_factory, segments: list[dict[tuple[int, int], float]]) -> None:  # type: ignore[no-untyped-def]
    store, expected = PairStore(tmp_path_factory.mktemp("pairs"), "scorer"), {}
    for segment in segments:
        new = {pair: score for pair, score in segment.items() if pair not in expected}
        if new:
            store.add(pairs(new), KEYS, KEYS)
        expected |= new
    assert read(store) == expected


def test_the_same_segment_twice_is_one_file(tmp_path: Path) -> None:
    store = PairStore(tmp_path, "scorer")
    for _ in range(2):
        store.add(pairs({(2, 1): 0.5}), KEYS, KEYS)
    assert len(list((tmp_path / "scorer").iterdir())) == 1 and read(store) == {(2, 1): 0.5}
