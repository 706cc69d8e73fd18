"""Bayesian linear regression by Potter's update, held against the normal equations."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.linear_thompson import Coefficients, deviation, draw, observe

SIZE, SD = 4, 0.5


def start(seed: int = 0) -> Coefficients:
    random = np.random.default_rng(seed)
    root = np.tril(random.normal(size=(SIZE, SIZE))) + 2 * np.eye(SIZE)
    mean = random.normal(size=SIZE)
    return Coefficients(jnp.asarray(mean, jnp.float32), jnp.asarray(root, jnp.float32), jnp.float32(SD))


def test_one_coefficient_by_hand() -> None:
    """θ ~ Normal(0, 1), a reward of 1 at φ = 2 with σ = 1: the posterior is Normal(2/5, 1/5)."""
    prior = Coefficients(jnp.zeros(1), jnp.ones((1, 1)), jnp.float32(1))
    after = observe(prior, jnp.array([2.0]), jnp.float32(1), jnp.float32(1))
    assert float(after.mean[0]) == pytest.approx(0.4)
    assert float(after.root[0, 0] ** 2) == pytest.approx(0.2)
    assert float(deviation(jnp.array([3.0]), after)) == pytest.approx(3 * np.sqrt(0.2))
    assert float(draw(jnp.array([1.0]), after)[0]) == pytest.approx(0.4 + np.sqrt(0.2))


def test_many_observations_are_the_normal_equations() -> None:
    random = np.random.default_rng(1)
    prior = start()
    phi, reward, weight = random.normal(size=(200, SIZE)), random.normal(size=200), random.uniform(0, 2, 200)
    state = prior
    for one in zip(phi, reward, weight, strict=True):
        state = jax.jit(observe)(state, *(jnp.asarray(x, jnp.float32) for x in one))
    precision = np.linalg.inv(np.asarray(prior.root, np.float64) @ np.asarray(prior.root, np.float64).T)
    information = precision @ np.asarray(prior.mean, np.float64)
    for x, r, w in zip(phi, reward, weight, strict=True):
        precision, information = precision + w / SD**2 * np.outer(x, x), information + w / SD**2 * r * x
    np.testing.assert_allclose(state.mean, np.linalg.solve(precision, information), atol=2e-4)
    np.testing.assert_allclose(state.root @ state.root.T, np.linalg.inv(precision), atol=2e-5)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.floats(0, 5))
def test_a_reward_never_makes_less_sure(seed: int, weight: float) -> None:
    random = np.random.default_rng(seed)
    before, phi = start(seed), jnp.asarray(random.normal(size=SIZE), jnp.float32)
    after = observe(before, phi, jnp.float32(0.3), jnp.float32(weight))
    other = jnp.asarray(random.normal(size=SIZE), jnp.float32)
    assert float(deviation(other, after)) <= float(deviation(other, before)) * (1 + 1e-5)
    if weight == 0:
        np.testing.assert_array_equal(after.mean, before.mean)
        np.testing.assert_array_equal(after.root, before.root)


def test_samples_have_the_beliefs_moments() -> None:
    belief = start(3)
    normals = jax.random.normal(jax.random.key(0), (200_000, SIZE))
    samples = np.asarray(jax.vmap(draw, in_axes=(0, None))(normals, belief))
    covariance = np.asarray(belief.root @ belief.root.T)
    np.testing.assert_allclose(samples.mean(axis=0), belief.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.02 * covariance.max())


def test_with_and_without_jit_and_vmap() -> None:
    random = np.random.default_rng(4)
    phi = jnp.asarray(random.normal(size=(3, SIZE)), jnp.float32)
    reward, weight = jnp.asarray([0.1, 0.5, 0.9]), jnp.asarray([1.0, 0.5, 2.0])
    many = jax.jit(jax.vmap(observe, in_axes=(None, 0, 0, 0)))(start(), phi, reward, weight)
    for number in range(3):
        one = observe(start(), phi[number], reward[number], weight[number])
        np.testing.assert_allclose(many.mean[number], one.mean, rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(many.root[number], one.root, rtol=2e-5, atol=1e-6)
