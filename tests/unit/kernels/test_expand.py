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

from rag_lab.kernels.expand import rocchio

_rocchio = jax.jit(rocchio)
EVIDENCE, DIMENSIONS = 4, 6
numbers = st.floats(-1, 1, width=32, allow_subnormal=False)
queries = arrays(np.float32, DIMENSIONS, elements=numbers)
found = arrays(np.float32, (EVIDENCE, DIMENSIONS), elements=numbers)
masks = arrays(bool, EVIDENCE)
weights = st.floats(0, 4, width=32)


def moved(query: np.ndarray, evidence: np.ndarray, real: np.ndarray, weight: float) -> np.ndarray:
    return np.asarray(_rocchio(jnp.array(query), jnp.array(evidence), jnp.array(real), jnp.float32(weight)))


def test_by_hand() -> None:
    """(1, 0) + ½ · mean of (0, 4) and (4, 4) = (2, 2), at length 1; the third passage is padding."""
    evidence = np.array([[0, 4], [4, 4], [-9, 9]], np.float32)
    out = rocchio(jnp.array([1.0, 0.0]), jnp.array(evidence), jnp.array([True, True, False]), jnp.float32(0.5))
    np.testing.assert_allclose(out, [0.5**0.5, 0.5**0.5], rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(queries, found, masks, weights)
def test_the_naive_query_agrees(query: np.ndarray, evidence: np.ndarray, real: np.ndarray, weight: float) -> None:
    plain = query.astype(np.float64) + weight * (evidence[real].astype(np.float64).mean(axis=0) if real.any() else 0)
    if np.linalg.norm(plain) < 1e-3:
        return  # what points nowhere has no direction to agree on
    expected = reference.rocchio(query, evidence[real], weight) if real.any() else plain / np.linalg.norm(plain)
    np.testing.assert_allclose(moved(query, evidence, real, weight), expected, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(found, masks)
def test_a_weight_of_zero_and_no_evidence_leave_a_unit_query_alone(evidence: np.ndarray, real: np.ndarray) -> None:
    query = np.array([0.6, 0, 0.8, 0, 0, 0], np.float32)
    np.testing.assert_allclose(moved(query, evidence, real, 0), query, atol=1e-6)
    np.testing.assert_allclose(moved(query, evidence, np.zeros(EVIDENCE, bool), 2), query, atol=1e-6)


def test_what_cancels_out_leaves_the_query_as_it_was() -> None:
    query = np.array([1, 0, 0, 0, 0, 0], np.float32)
    assert moved(query, np.stack([-query] * EVIDENCE), np.ones(EVIDENCE, bool), 1).tolist() == query.tolist()
    assert not moved(0 * query, np.zeros((EVIDENCE, DIMENSIONS)), np.ones(EVIDENCE, bool), 1).any()


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (
            jnp.array(random.normal(size=DIMENSIONS), jnp.float32),
            jnp.array(random.normal(size=(EVIDENCE, DIMENSIONS)), jnp.float32),
            jnp.array(random.random(EVIDENCE) < 0.7),
            jnp.float32(random.random()),
        )
        for _ in range(4)
    ]
    alike(rocchio, examples)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        rocchio(jnp.ones(3), jnp.ones((2, 4)), jnp.ones(2, bool), jnp.float32(1))
