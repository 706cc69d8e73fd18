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

from rag_lab.kernels.late import nearest, unit

_nearest = jax.jit(nearest)
S, T, D = 5, 7, 4


def tokens(seed: int, length: int) -> np.ndarray:
    """Unit vectors."""
    return np.asarray(unit(jnp.array(np.random.default_rng(seed).normal(size=(length, D)), jnp.float32)))


def best(query: np.ndarray, passage: np.ndarray, count: int = T) -> np.ndarray:
    """Against the passage's first `count` tokens."""
    return np.asarray(_nearest(jnp.array(query), jnp.array(passage), jnp.arange(len(passage)) < count))


def test_by_hand() -> None:
    """The first token finds itself, the second only what it stands upright on: its own image is padding."""
    query = jnp.array([[1.0, 0.0], [0.0, 1.0], [-0.6, -0.8]])
    passage, real = jnp.array([[1.0, 0.0], [0.0, -1.0], [0.0, 1.0]]), jnp.array([True, True, False])
    np.testing.assert_allclose(nearest(query, passage, real), [1, 0, 0.8], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(1, T))
def test_the_naive_score_agrees(seed: int, real: int) -> None:
    """MaxSim is the mean over the query's tokens."""
    query, passage = tokens(seed, S), tokens(seed + 1, T)
    assert best(query, passage, real).mean() == pytest.approx(reference.maxsim(query, passage[:real]), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000))
def test_a_text_is_nearest_to_itself(seed: int) -> None:
    query = tokens(seed, T)
    np.testing.assert_allclose(best(query, query), 1, atol=1e-6)
    assert (np.abs(best(query, tokens(seed + 1, T))) <= 1 + 1e-6).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, T - 1))
def test_more_passage_never_lowers_it_and_padding_is_never_looked_at(seed: int, real: int) -> None:
    query, passage = tokens(seed, S), tokens(seed + 1, T)
    assert (best(query, passage, real + 1) >= best(query, passage, real) - 1e-6).all()
    noise = np.where(np.arange(T)[:, None] < real, passage, 9).astype(np.float32)
    np.testing.assert_array_equal(best(query, noise, real), best(query, passage, real))


def test_a_passage_without_tokens_is_near_to_nothing() -> None:
    assert best(tokens(0, S), tokens(1, T), 0).tolist() == [0] * S


def test_unit_vectors_by_hand() -> None:
    np.testing.assert_allclose(unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    examples = [
        (jnp.array(tokens(seed, S)), jnp.array(tokens(seed + 9, T)), jnp.arange(T) < 2 + seed) for seed in range(4)
    ]
    alike(nearest, examples)
    alike(unit, [(passage,) for _, passage, _ in examples])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        nearest(jnp.ones((2, 3)), jnp.ones((4, 5)), jnp.ones(4, bool))
