from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.topk import ONE_STAGE, group_size, top_k

SCORES = 3 * ONE_STAGE + 5  # two stages up to k = 3, with a last part of a group
_jitted = jax.jit(top_k, static_argnums=1)
# Few distinct values, so that ties are the rule: all of one group, across groups, across the last winner.
hostile = arrays(np.float32, SCORES, elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, -np.inf, np.inf]))
numbers = st.floats(-1, 1, width=32, allow_subnormal=False)
ordinary = arrays(np.float32, SCORES, elements=numbers, fill=numbers)
winners = st.sampled_from([1, 2, 3, 10, SCORES, 2 * SCORES])


def naive(scores: np.ndarray, k: int) -> list[int]:
    return np.argsort(-scores, kind="stable")[:k].tolist()


def test_by_hand() -> None:
    found = top_k(jnp.array([0.1, 0.9, -3.0, 0.9, 0.5]), 3)
    assert found.place.tolist() == [1, 3, 4]
    np.testing.assert_allclose(found.score, [0.9, 0.9, 0.5])


def test_by_hand_in_two_stages() -> None:
    """Winners in the first group, in one group twice, and in the last, which is not whole."""
    scores = np.zeros(SCORES, np.float32)
    scores[[0, 200, 201, SCORES - 1]] = [2, 1, 4, 3]
    assert group_size(SCORES, 3) > 1 and SCORES % group_size(SCORES, 3) != 0
    assert top_k(jnp.array(scores), 3).place.tolist() == [201, SCORES - 1, 0]


def test_group_sizes_balance_both_stages() -> None:
    assert group_size(100, 10) == 1
    assert group_size(1_000_000, 10) == 256 and group_size(1_000_000, 100) == 128


@settings(max_examples=60, deadline=None)
@given(hostile | ordinary, winners)
def test_numpys_stable_sort_agrees(scores: np.ndarray, k: int) -> None:
    found = _jitted(jnp.array(scores), k)
    assert found.place.tolist() == naive(scores, k)
    np.testing.assert_array_equal(found.score, scores[np.array(naive(scores, k))])


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -np.inf])
def test_of_equal_scores_the_first_win(value: float) -> None:
    assert top_k(jnp.full(SCORES, value, jnp.float32), 3).place.tolist() == [0, 1, 2]


def test_both_zeros_are_one_score() -> None:
    scores = np.where(np.arange(SCORES) % 2, 0.0, -0.0).astype(np.float32)
    assert top_k(jnp.array(scores), 3).place.tolist() == [0, 1, 2]


@settings(max_examples=25, deadline=None)
@given(hostile | ordinary, st.sampled_from([1, 2, 3]))
def test_winners_do_not_depend_on_how_many_are_asked_for(scores: np.ndarray, k: int) -> None:
    assert _jitted(jnp.array(scores), k).place.tolist() == _jitted(jnp.array(scores), 10).place[:k].tolist()


@settings(max_examples=25, deadline=None)
@given(hostile, st.sampled_from([1, 2, 3]), st.integers(0, 5))
def test_worse_scores_before_and_after_change_nothing(scores: np.ndarray, k: int, more: int) -> None:
    worse = np.full(more, -np.inf, np.float32)
    finite = np.where(np.isneginf(scores), 0, scores)
    moved = top_k(jnp.array(np.concatenate([worse, finite, worse])), k)
    assert (moved.place - more).tolist() == _jitted(jnp.array(finite), k).place.tolist()


@pytest.mark.parametrize("k", [3, 10])
def test_eager_jitted_and_vmapped(alike: Callable[..., None], k: int) -> None:
    random = np.random.default_rng(0)
    examples = [(jnp.array(random.integers(-9, 9, SCORES), jnp.float32),) for _ in range(3)]
    alike(lambda scores: top_k(scores, k), examples)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        top_k(jnp.ones((2, 3)), 1)
