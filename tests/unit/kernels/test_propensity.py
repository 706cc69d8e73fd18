from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_ndtr

from rag_lab.kernels import propensity as kernel

ARMS = 5
propensity = jax.jit(kernel.propensity)
means = arrays(np.float32, ARMS, elements=st.floats(0, 1, width=32, allow_subnormal=False))
deviations = arrays(np.float32, ARMS, elements=st.floats(0.0625, 1, width=32))


def naive(mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """The integral of each arm on a grid of its own, 20,001 points in double precision."""
    mean, deviation = mean.astype(float), deviation.astype(float)
    z = np.linspace(-8, 8, 20_001)
    out = []
    for arm in range(len(mean)):
        x = mean[arm] + deviation[arm] * z
        others = [log_ndtr((x - mean[b]) / deviation[b]) for b in range(len(mean)) if b != arm]
        density = np.exp(np.sum(others, axis=0) - z**2 / 2) / np.sqrt(2 * np.pi)
        out.append(density.sum() * (z[1] - z[0]))
    return np.array(out)


def test_two_arms_in_closed_form() -> None:
    """P(first > second) = Φ((m₁ − m₂) / √(s₁² + s₂²)) = Φ(0.5 / 0.5)."""
    first = NormalDist().cdf(1)
    np.testing.assert_allclose(propensity(jnp.array([1.0, 0.5]), jnp.array([0.3, 0.4])), [first, 1 - first], atol=1e-6)


def test_equal_arms_share_alike() -> None:
    np.testing.assert_allclose(propensity(jnp.full(ARMS, 0.7), jnp.full(ARMS, 0.2)), 1 / ARMS, atol=1e-6)


def test_one_arm_is_certain() -> None:
    assert propensity(jnp.array([0.3]), jnp.array([0.2])).tolist() == [1]


def test_a_hopeless_arm_has_no_chance_and_no_nan() -> None:
    chances = propensity(jnp.array([0.0, 5.0, 5.0]), jnp.array([0.05, 0.05, 0.05]))
    np.testing.assert_allclose(chances, [0, 0.5, 0.5], atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(means, deviations)
def test_the_naive_integral_agrees(mean: np.ndarray, deviation: np.ndarray) -> None:
    chances = propensity(jnp.array(mean), jnp.array(deviation))
    np.testing.assert_allclose(chances, naive(mean, deviation), atol=1e-5)
    assert float(chances.sum()) == pytest.approx(1, abs=1e-5) and (np.asarray(chances) >= 0).all()


def test_deviations_as_far_apart_as_the_docstring_allows() -> None:
    """One arm seen a thousand times more often than the others: 512 / 16 = 32 times surer."""
    mean, deviation = np.array([0.6, 0.5, 0.62, 0.4, 0.55]), np.array([0.2, 0.2, 0.2 / 32, 0.1, 0.2 / 32])
    chances = propensity(jnp.array(mean, jnp.float32), jnp.array(deviation, jnp.float32))
    np.testing.assert_allclose(chances, naive(mean, deviation), atol=1e-4)


def test_draws_agree() -> None:
    random = np.random.default_rng(0)
    mean, deviation = random.random(11), 0.4 / np.sqrt(random.integers(4, 500, 11))
    drawn = reference.propensity_by_draws(mean, deviation, 100_000, random)
    chances = np.asarray(propensity(jnp.array(mean, jnp.float32), jnp.array(deviation, jnp.float32)))
    spread = np.sqrt(chances * (1 - chances) / 100_000)
    assert (np.abs(drawn - chances) <= 4 * spread + 1e-5).all()


@settings(max_examples=25, deadline=None)
@given(means, deviations, st.permutations(range(ARMS)), st.floats(-2, 2), st.floats(0.5, 4))
def test_names_origin_and_unit_do_not_matter(
    mean: np.ndarray, deviation: np.ndarray, order: list[int], shift: float, scale: float
) -> None:
    plain = np.asarray(propensity(jnp.array(mean), jnp.array(deviation)))
    moved = propensity(
        jnp.array(scale * mean[order] + shift, jnp.float32), jnp.array(scale * deviation[order], jnp.float32)
    )
    np.testing.assert_allclose(moved, plain[order], atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(means, deviations)
def test_a_higher_mean_raises_the_chance(mean: np.ndarray, deviation: np.ndarray) -> None:
    raised = mean.copy()
    raised[0] += 0.25
    before, after = (float(propensity(jnp.array(m), jnp.array(deviation))[0]) for m in (mean, raised))
    assert after >= before - 1e-6


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (jnp.array(random.random(ARMS), jnp.float32), jnp.array(random.random(ARMS) + 0.1, jnp.float32))
        for _ in range(3)
    ]
    alike(kernel.propensity, examples, rtol=1e-4)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        kernel.propensity(jnp.ones(3), jnp.ones(1))
