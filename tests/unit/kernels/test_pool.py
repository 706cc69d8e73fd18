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

from rag_lab.kernels.pool import pool

_pool = jax.jit(pool, static_argnums=2)
PASSAGES = 12
# Few distinct values, so that ties are the rule.
scores = arrays(np.float32, PASSAGES, elements=st.integers(0, 4))
sizes = st.sampled_from([1, 3, 6, 20])


def test_by_hand() -> None:
    lexical = jnp.array([0.0, 3.0, 0.0, 2.0, 1.0])
    dense = jnp.array([0.9, 0.8, 0.1, 0.2, 0.3])
    found = pool(lexical, dense, 2)  # lexical brings 1 and 3, dense 0 and 1
    assert np.asarray(found.passage)[np.asarray(found.real)].tolist() == [0, 1, 3]
    assert found.real.sum() == 3 and found.real.shape == (4,)
    np.testing.assert_allclose(np.asarray(found.lexical)[np.asarray(found.real)], [0, 3, 2])
    np.testing.assert_allclose(np.asarray(found.dense)[np.asarray(found.real)], [0.9, 0.8, 0.2])


def test_without_any_word_in_common_the_first_passages_count_as_bm25s() -> None:
    found = pool(jnp.zeros(5), jnp.array([0.1, 0.2, 0.3, 0.4, 0.5]), 2)
    assert np.asarray(found.passage)[np.asarray(found.real)].tolist() == [0, 1, 3, 4]


@settings(max_examples=50, deadline=None)
@given(scores, scores, sizes)
def test_the_naive_pool_agrees(lexical: np.ndarray, dense: np.ndarray, size: int) -> None:
    found = _pool(jnp.array(lexical), jnp.array(dense), size)
    real = np.asarray(found.real)
    assert np.asarray(found.passage)[real].tolist() == reference.pool(lexical, dense, size)


@settings(max_examples=25, deadline=None)
@given(scores, scores, sizes)
def test_places(lexical: np.ndarray, dense: np.ndarray, size: int) -> None:
    """A fixed number of places in corpus order; every one, padding too, holds both scores of its passage."""
    found = _pool(jnp.array(lexical), jnp.array(dense), size)
    taken = min(size, PASSAGES)
    passage, real = np.asarray(found.passage), np.asarray(found.real)
    assert passage.shape == real.shape == (2 * taken,)
    assert taken <= real.sum() <= min(2 * taken, PASSAGES)
    assert (np.diff(passage) >= 0).all() and (np.diff(passage[real]) > 0).all()
    assert np.asarray(found.lexical).tolist() == lexical[passage].tolist()
    assert np.asarray(found.dense).tolist() == dense[passage].tolist()


@settings(max_examples=25, deadline=None)
@given(scores, scores, sizes)
def test_the_rankers_may_be_exchanged(lexical: np.ndarray, dense: np.ndarray, size: int) -> None:
    one = _pool(jnp.array(lexical), jnp.array(dense), size)
    other = _pool(jnp.array(dense), jnp.array(lexical), size)
    assert one.passage.tolist() == other.passage.tolist() and one.real.tolist() == other.real.tolist()
    assert one.lexical.tolist() == other.dense.tolist()


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [tuple(jnp.array(random.random(PASSAGES), jnp.float32) for _ in "ab") for _ in range(3)]
    alike(lambda lexical, dense: pool(lexical, dense, 3), examples)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        pool(jnp.ones(3), jnp.ones(4), 2)
