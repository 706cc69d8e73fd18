from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.centroid import centroids, nearest

RANDOM = np.random.default_rng(0)
VECTORS = RANDOM.normal(size=(40, 6)).astype(np.float32)
CLASSES = RANDOM.integers(0, 3, 40).astype(np.int32)


def naive(vectors: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    out = np.zeros((count, vectors.shape[1]))
    for one in range(count):
        if (classes == one).any():
            mean = vectors[classes == one].astype(np.float64).mean(axis=0)
            out[one] = mean / np.linalg.norm(mean)
    return out


def test_by_hand() -> None:
    vectors = jnp.array([[2.0, 0.0], [4.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    centres = centroids(vectors, jnp.array([0, 0, 1, 1]), 2)
    np.testing.assert_allclose(centres, [[1.0, 0.0], [0.8, 0.6]], atol=1e-6)
    assert int(nearest(jnp.array([1.0, 0.1]), centres)) == 0
    assert int(nearest(jnp.array([0.1, 1.0]), centres)) == 1


def test_numpy_agrees() -> None:
    centres = centroids(jnp.array(VECTORS), jnp.array(CLASSES), 3)
    np.testing.assert_allclose(centres, naive(VECTORS, CLASSES, 3), atol=1e-6)
    expected = (VECTORS @ naive(VECTORS, CLASSES, 3).T).argmax(axis=1)
    assert [int(nearest(jnp.array(vector), centres)) for vector in VECTORS[:10]] == expected[:10].tolist()


def test_a_class_without_a_vector_is_zero() -> None:
    centres = centroids(jnp.array(VECTORS), jnp.array(CLASSES % 2 * 2), 4)
    assert not np.any(np.asarray(centres)[[1, 3]])
    np.testing.assert_allclose(np.linalg.norm(np.asarray(centres)[[0, 2]], axis=1), 1, atol=1e-6)


def test_ties_go_to_the_first_class() -> None:
    assert int(nearest(jnp.array([1.0, 1.0]), jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))) == 1


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(40)), st.floats(0.25, 4))
def test_neither_order_nor_scale_matters(order: list[int], scale: float) -> None:
    moved = centroids(jnp.array(scale * VECTORS[order], jnp.float32), jnp.array(CLASSES[order]), 3)
    np.testing.assert_allclose(moved, centroids(jnp.array(VECTORS), jnp.array(CLASSES), 3), atol=1e-5)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    alike(
        lambda vectors, classes: centroids(vectors, classes, 3),
        [(jnp.array(VECTORS), jnp.array(CLASSES)), (jnp.array(-VECTORS), jnp.array(CLASSES[::-1].copy()))],
    )
    centres = centroids(jnp.array(VECTORS), jnp.array(CLASSES), 3)
    alike(lambda vector: nearest(vector, centres), [(jnp.array(vector),) for vector in VECTORS[:5]])
    assert jax.jit(nearest)(jnp.array(VECTORS[0]), centres).shape == ()
