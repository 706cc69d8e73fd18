from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from rag_lab.kernels.similarity import similarity


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


RANDOM = np.random.default_rng(0)
PASSAGES = unit(RANDOM.normal(size=(500, 384)))
QUERIES = unit(RANDOM.normal(size=(3, 384)))


def test_by_hand() -> None:
    passages = jnp.array([[1.0, 0.0], [0.0, 1.0], [3.0, -1.0]])
    assert similarity(jnp.array([1.0, 2.0]), passages).tolist() == [1.0, 2.0, 1.0]


def test_numpy_in_double_precision_agrees() -> None:
    expected = PASSAGES.astype(np.float64) @ QUERIES[0].astype(np.float64)
    np.testing.assert_allclose(similarity(jnp.array(QUERIES[0]), jnp.array(PASSAGES)), expected, atol=5e-7)


def test_of_unit_vectors_is_a_cosine() -> None:
    """A passage is most like itself, at 1, and nothing is beyond 1."""
    scores = np.array([similarity(jnp.array(row), jnp.array(PASSAGES)) for row in PASSAGES[:5]])
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(scores.max(axis=1), 1, atol=1e-6)
    assert np.abs(scores).max() <= 1 + 1e-6


def test_asks_for_full_precision_on_every_device() -> None:
    """On an accelerator the default product would round its inputs; a CPU cannot show that, the program can."""
    program = str(jax.make_jaxpr(similarity)(jnp.array(QUERIES[0]), jnp.array(PASSAGES)))
    assert "precision=(Precision.HIGHEST, Precision.HIGHEST)" in program


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    alike(lambda query: similarity(query, jnp.array(PASSAGES)), [(jnp.array(query),) for query in QUERIES])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        similarity(jnp.ones(3), jnp.ones((2, 4)))
