from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.fuse import convex, min_max, mix, reciprocal_rank
from rag_lab.kernels.rank import ranks

_convex, _min_max = jax.jit(convex), jax.jit(min_max)
PLACES = 8
REAL = jnp.ones(PLACES, bool)
scores = arrays(np.float32, PLACES, elements=st.floats(-100, 100, width=32, allow_subnormal=False))
masks = arrays(bool, PLACES)
alphas = st.floats(0, 1, width=32)


def some(*values: float) -> jnp.ndarray:
    return jnp.array(values, jnp.float32)


def test_min_max_by_hand() -> None:
    real = jnp.array([True, True, True, False])
    assert min_max(some(2, 6, 3, 100), real).tolist() == [0, 1, 0.25, 0]


def test_a_constant_list_becomes_zero() -> None:
    assert min_max(some(7, 7, 7), jnp.ones(3, bool)).tolist() == [0, 0, 0]
    assert min_max(some(7, 9, 7), jnp.array([True, False, True])).tolist() == [0, 0, 0]
    assert min_max(some(7), jnp.ones(1, bool)).tolist() == [0]


def test_a_list_without_a_real_score_becomes_zero() -> None:
    assert min_max(some(1, 2, 3), jnp.zeros(3, bool)).tolist() == [0, 0, 0]


def test_convex_by_hand() -> None:
    real = jnp.array([True, True, True, False])
    fused = convex(some(0, 10, 5, 99), some(0.5, 0.1, 0.3, 99), real, jnp.float32(0.25))
    np.testing.assert_allclose(fused, [0.75, 0.25, 0.5, -np.inf], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(scores, scores, masks, alphas)
def test_the_naive_fusion_agrees(lexical: np.ndarray, dense: np.ndarray, real: np.ndarray, alpha: float) -> None:
    fused = np.asarray(_convex(jnp.array(lexical), jnp.array(dense), jnp.array(real), jnp.float32(alpha)))
    expected = reference.fuse(lexical[real].astype(float), dense[real].astype(float), alpha)
    np.testing.assert_allclose(fused[real], expected, atol=2e-6)
    assert (fused[~real] == -np.inf).all()


@settings(max_examples=25, deadline=None)
@given(scores, masks, st.floats(0.125, 8, width=32), st.floats(-50, 50, width=32))
def test_neither_scale_nor_shift_matters(list_: np.ndarray, real: np.ndarray, scale: float, shift: float) -> None:
    rounded = np.round(list_)  # whole numbers, so that shifting them loses no digits
    moved = _min_max(jnp.array(rounded * np.float32(scale) + np.float32(shift)), jnp.array(real))
    np.testing.assert_allclose(moved, _min_max(jnp.array(rounded), jnp.array(real)), atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(scores, scores, masks)
def test_padding_is_never_looked_at(list_: np.ndarray, other: np.ndarray, real: np.ndarray) -> None:
    mixed = np.where(real, list_, other)
    assert _min_max(jnp.array(mixed), jnp.array(real)).tolist() == (
        _min_max(jnp.array(list_), jnp.array(real)).tolist()
    )


@settings(max_examples=25, deadline=None)
@given(scores, scores)
def test_the_ends_are_each_list_alone(lexical: np.ndarray, dense: np.ndarray) -> None:
    one, other = jnp.array(lexical), jnp.array(dense)
    assert _convex(one, other, REAL, jnp.float32(1)).tolist() == _min_max(one, REAL).tolist()
    assert _convex(one, other, REAL, jnp.float32(0)).tolist() == _min_max(other, REAL).tolist()


@settings(max_examples=25, deadline=None)
@given(scores, masks)
def test_results_lie_between_zero_and_one_and_reach_both(list_: np.ndarray, real: np.ndarray) -> None:
    out = np.asarray(_min_max(jnp.array(list_), jnp.array(real)))
    assert ((out >= 0) & (out <= 1)).all()
    if real.any() and list_[real].min() < list_[real].max():
        assert out[real].min() == 0 and out[real].max() == 1


def test_the_best_of_either_ranker_tie_when_both_weigh_the_same() -> None:
    """One passage is lexically best and densely worst, the other the reverse: exactly equal at α = 0.5."""
    random = np.random.default_rng(0)
    for _ in range(50):
        lexical, dense = np.sort(random.random((2, PLACES)).astype(np.float32), axis=1)
        fused = _convex(jnp.array(lexical * 20), jnp.array(dense[::-1].copy()), REAL, jnp.float32(0.5))
        assert float(fused[0]) == float(fused[-1]) == 0.5


def test_reciprocal_rank_by_hand() -> None:
    """α 0.75, k 1: 0.75/2 + 0.25/4, 0.75/3 + 0.25/2 and 0.75/4 + 0.25/3, stretched to [0, 1]; padding is out."""
    real = jnp.array([True, True, True, False])
    fused = reciprocal_rank(jnp.array([1, 2, 3, 4]), jnp.array([3, 1, 2, 4]), real, jnp.float32(0.75), jnp.float32(1))
    low, high = 0.75 / 4 + 0.25 / 3, 0.75 / 2 + 0.25 / 4
    np.testing.assert_allclose(fused, [1, (0.75 / 3 + 0.25 / 2 - low) / (high - low), 0, -np.inf], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(scores, scores, masks, alphas)
def test_the_naive_reciprocal_ranks_agree(one: np.ndarray, other: np.ndarray, real: np.ndarray, alpha: float) -> None:
    mask = jnp.array(real)
    fused = np.asarray(
        reciprocal_rank(
            ranks(jnp.array(one), mask), ranks(jnp.array(other), mask), mask, jnp.float32(alpha), jnp.float32(60)
        )
    )
    if real.any():
        some_ = [list_[real].astype(float) for list_ in (one, other)]
        expected = reference.act(*some_, None, alpha, True, 0, PLACES, 60)
        np.testing.assert_allclose(fused[real], expected, atol=1e-3)  # close together before they are stretched
    assert (fused[~real] == -np.inf).all()


@settings(max_examples=25, deadline=None)
@given(scores, masks)
def test_reciprocal_ranks_keep_the_order_of_a_single_ranker(list_: np.ndarray, real: np.ndarray) -> None:
    mask = jnp.array(real)
    rank, other = ranks(jnp.array(list_), mask), ranks(jnp.array(-list_), mask)
    fused = np.asarray(reciprocal_rank(rank, other, mask, jnp.float32(1), jnp.float32(60)))
    assert reference.top(fused[real], PLACES) == reference.top(list_[real], PLACES)


def test_mix_by_hand() -> None:
    real = jnp.array([True, True, True, False])
    mixed = mix(some(0, 1, 0.5, 9), some(0.8, 0.4, 0.6, 99), real, jnp.float32(0.25))
    np.testing.assert_allclose(mixed, [0.25, 0.75, 0.5, -np.inf], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(scores, scores, masks)
def test_the_ends_of_a_mix_are_each_list_alone(fused: np.ndarray, late: np.ndarray, real: np.ndarray) -> None:
    """At weight 0 the other list may be missing; at weight 1 the first may be −inf where it is padding."""
    mask, missing = jnp.array(real), jnp.full(PLACES, jnp.nan)
    first = jnp.where(mask, jnp.array(fused), -jnp.inf)
    assert mix(first, missing, mask, jnp.float32(0)).tolist() == first.tolist()
    other = jnp.where(mask, _min_max(jnp.array(late), mask), -jnp.inf)
    assert mix(first, jnp.array(late), mask, jnp.float32(1)).tolist() == other.tolist()


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (
            jnp.array(random.normal(size=PLACES), jnp.float32),
            jnp.array(random.normal(size=PLACES), jnp.float32),
            jnp.array(random.random(PLACES) < 0.7),
            jnp.float32(random.random()),
        )
        for _ in range(4)
    ]
    alike(convex, examples)
    alike(mix, examples)
    alike(
        reciprocal_rank,
        [(ranks(one, real), ranks(other, real), real, alpha, jnp.float32(60)) for one, other, real, alpha in examples],
    )


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        min_max(jnp.ones(3), jnp.ones(4, bool))
    with pytest.raises(jaxtyping.TypeCheckError):
        convex(jnp.ones(3), jnp.ones(3), jnp.ones(3, bool), jnp.ones(1))
