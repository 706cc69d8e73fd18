"""Dense search is NumPy's stable sort of all inner products, whatever way the work is cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.errors import DataError
from rag_lab.l1_retrieval import dense, selection
from rag_lab.l1_retrieval.dense import ACCELERATOR, CPU, Dense, Plan

RANDOM = np.random.default_rng(0)
# Small whole numbers: products are exact in any order of summation, and ties are the rule.
PASSAGES = RANDOM.integers(-2, 3, (1500, 8)).astype(np.float32)
QUERIES = RANDOM.integers(-2, 3, (19, 8)).astype(np.float32)
SMALL = Plan(tiles=(1, 4), scores=4 * 400, streamed=8 * 300, on_host=True, cached=0)
PLANS = {
    "cpu": CPU,
    "accelerator": ACCELERATOR,
    "many blocks": SMALL,
    "many blocks, one query by BLAS": SMALL._replace(cached=1 << 20),
    "many blocks, on the device": SMALL._replace(on_host=False),
}
values = arrays(np.float32, (3, 60), elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, -np.inf]))


def naive(passages: np.ndarray, queries: np.ndarray, k: int) -> np.ndarray:
    return np.argsort(-(queries @ passages.T), axis=1, kind="stable")[:, :k]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize(("queries", "k"), [(1, 10), (3, 10), (19, 1), (19, 100), (2, 5000)])
def test_the_naive_search_agrees(plan: Plan, queries: int, k: int) -> None:
    found = Dense(PASSAGES, plan).search(QUERIES[:queries], k)
    expected = naive(PASSAGES, QUERIES[:queries], k)
    np.testing.assert_array_equal(found.passage, expected)
    scores = QUERIES[:queries] @ PASSAGES.T
    np.testing.assert_array_equal(found.score, np.take_along_axis(scores, expected, axis=1))


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_a_memory_map_is_streamed(tmp_path: Path, kind: type) -> None:
    np.save(tmp_path / "vectors.npy", PASSAGES.astype(kind))
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    index = Dense(mapped, SMALL)
    assert len(index.blocks) == 5 and all(isinstance(block, np.memmap) for block in index.blocks)
    np.testing.assert_array_equal(index.search(QUERIES, 10).passage, naive(PASSAGES, QUERIES, 10))


def test_a_corpus_smaller_than_a_group() -> None:
    found = Dense(PASSAGES[:3], CPU).search(QUERIES, 10)
    np.testing.assert_array_equal(found.passage, naive(PASSAGES[:3], QUERIES, 10))


def test_blocks_are_of_equal_length_so_that_few_programs_are_compiled() -> None:
    assert {len(block) for block in Dense(PASSAGES[:1001], SMALL).blocks} == {333, 334}


def test_numbers_of_queries_share_programs() -> None:
    index = Dense(PASSAGES, CPU)
    index.search(QUERIES[:9], 10)
    before = dense._scores._cache_size()
    for count in (10, 19):
        index.search(QUERIES[:count], 10)
    assert dense._scores._cache_size() == before


def test_what_is_not_a_number_is_refused() -> None:
    broken = PASSAGES.copy()
    broken[7, 0] = np.nan
    with pytest.raises(DataError, match="vectors must be finite"):
        Dense(broken, CPU).search(QUERIES + 1, 10)


def test_selection_in_two_stages_by_hand() -> None:
    scores = np.zeros((1, 100), np.float32)
    scores[0, [3, 40, 41, 99]] = [1, 3, 2, 4]
    found = selection.select(scores, maxima(scores, 3), 3)
    assert found.passage.tolist() == [[99, 40, 41]] and found.score.tolist() == [[4, 3, 2]]


@settings(max_examples=60, deadline=None)
@given(values, st.integers(1, 60))
def test_the_first_of_equals_are_taken(rows: np.ndarray, k: int) -> None:
    expected = np.sort(np.argsort(-rows, axis=1, kind="stable")[:, :k], axis=1)
    np.testing.assert_array_equal(selection.first_best(rows, k), expected)


def maxima(rows: np.ndarray, k: int) -> np.ndarray:
    group = selection.group_size(rows.shape[1], min(k, rows.shape[1]))
    whole = rows.shape[1] - rows.shape[1] % group
    return rows[:, :whole].reshape(len(rows), -1, group).max(axis=2, initial=-np.inf)


@settings(max_examples=100, deadline=None)
@given(values, st.integers(1, 8), st.integers(8, 52))
def test_selecting_in_parts_and_merging_is_selecting(rows: np.ndarray, k: int, cut: int) -> None:
    """The second part need not look at groups that hold nothing better than the last winner of the first."""
    left, right = rows[:, :cut], rows[:, cut:]
    first = selection.select(left, maxima(left, k), k)
    second = selection.select(right, maxima(right, k), k, first.score[:, -1])
    merged = selection.merge(first, selection.Nearest(second.passage + cut, second.score), k)
    expected = np.argsort(-rows, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(merged.passage, expected)
    np.testing.assert_array_equal(merged.score, np.take_along_axis(rows, expected, axis=1))
