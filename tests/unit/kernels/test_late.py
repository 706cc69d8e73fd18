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

from rag_lab.kernels.late import maxsim, unit

_maxsim = jax.jit(maxsim)
S, T, D = 5, 7, 4


def tokens(seed: int, count: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors of a text of `count` tokens, padded with anything."""
    random = np.random.default_rng(seed)
    return np.asarray(unit(jnp.array(random.normal(size=(length, D)), jnp.float32))), np.arange(length) < count


def score(query: np.ndarray, asked: np.ndarray, passage: np.ndarray, real: np.ndarray) -> float:
    return float(_maxsim(jnp.array(query), jnp.array(asked), jnp.array(passage), jnp.array(real)))


def test_by_hand() -> None:
    """The first token finds itself (1), the second its opposite or a right angle (0), the third is padding."""
    query, asked = jnp.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), jnp.array([True, True, False])
    passage, real = jnp.array([[1.0, 0.0], [0.0, -1.0], [0.0, 1.0]]), jnp.array([True, True, False])
    assert float(maxsim(query, asked, passage, real)) == 0.5


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1000), st.integers(1, S), st.integers(1, T))
def test_the_naive_score_agrees(seed: int, asked: int, real: int) -> None:
    query, passage = tokens(seed, asked, S), tokens(seed + 1, real, T)
    expected = reference.maxsim(query[0][:asked], passage[0][:real])
    assert score(*query, *passage) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, S))
def test_a_text_is_nearest_to_itself(seed: int, asked: int) -> None:
    query, other = tokens(seed, asked, S), tokens(seed + 1, asked, S)
    assert score(*query, *query) == pytest.approx(1, abs=1e-6)
    assert -1 - 1e-6 <= score(*query, *other) <= 1 + 1e-6


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, S), st.integers(1, T - 1))
def test_more_passage_never_lowers_it_and_padding_is_never_looked_at(seed: int, asked: int, real: int) -> None:
    query, (passage, mask) = tokens(seed, asked, S), tokens(seed + 1, real, T)
    longer = np.arange(T) < real + 1
    assert score(*query, passage, longer) >= score(*query, passage, mask) - 1e-6
    noise = np.where(mask[:, None], passage, 9).astype(np.float32)
    assert score(*query, noise, mask) == score(*query, passage, mask)
    other = np.where(query[1][:, None], query[0], 9).astype(np.float32)
    assert score(other, query[1], passage, mask) == pytest.approx(score(*query, passage, mask), abs=1e-6)


def test_a_side_without_tokens_scores_nothing() -> None:
    query, passage = tokens(0, S, S), tokens(1, T, T)
    assert score(query[0], np.zeros(S, bool), *passage) == 0
    assert score(*query, passage[0], np.zeros(T, bool)) == 0


def test_unit_vectors_by_hand() -> None:
    np.testing.assert_allclose(unit(jnp.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]], rtol=1e-6)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    examples = [
        tuple(map(jnp.array, (*tokens(seed, 1 + seed, S), *tokens(seed + 9, 2 + seed, T)))) for seed in range(4)
    ]
    alike(maxsim, examples)
    alike(unit, [(passage,) for _, _, passage, _ in examples])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        maxsim(jnp.ones((2, 3)), jnp.ones(2, bool), jnp.ones((4, 5)), jnp.ones(4, bool))
