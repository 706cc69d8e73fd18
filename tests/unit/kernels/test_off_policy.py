from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.off_policy import estimate


def arrays(*columns: list[float]) -> list[jax.Array]:
    return [jnp.asarray(column, jnp.float32) for column in columns]


def test_by_hand() -> None:
    """Two decisions: weights 2 and 0; the model says 0.5 everywhere."""
    found = estimate(*arrays([1.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]))
    assert float(found.ips) == pytest.approx(1.0)
    assert float(found.snips) == pytest.approx(1.0)
    assert float(found.doubly_robust) == pytest.approx(0.5 + (2 * 0.5) / 2)
    assert float(found.effective) == pytest.approx(1.0)
    assert float(found.largest) == pytest.approx(2.0)


def test_a_policy_on_its_own_log_earns_what_it_earned() -> None:
    random = np.random.default_rng(0)
    reward, chance, model = random.random(50), random.uniform(0.1, 1, 50), random.random(50)
    found = estimate(*arrays(reward.tolist(), chance.tolist(), chance.tolist(), model.tolist(), model.tolist()))
    for value in found[:3]:
        assert float(value) == pytest.approx(reward.mean(), rel=1e-5)
    assert float(found.effective) == pytest.approx(50, rel=1e-5)


def test_a_target_that_never_acts_alike() -> None:
    found = estimate(*arrays([1.0, 1.0], [0.5, 0.5], [0.0, 0.0], [0.3, 0.3], [0.7, 0.7]))
    assert [float(one) for one in found] == pytest.approx([0, 0, 0.7, 0, 0])


@pytest.mark.parametrize("wrong_model", [False, True])
def test_unbiased_over_many_logs(wrong_model: bool) -> None:
    """Three arms of known means, logged at random: every estimator finds the target's mean reward."""
    random = np.random.default_rng(1)
    means, logging, target = np.array([0.2, 0.5, 0.8]), np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.1, 0.8])
    model = np.array([0.9, 0.1, 0.4]) if wrong_model else means
    arms = random.choice(3, (400, 500), p=logging)
    reward = (random.random(arms.shape) < means[arms]).astype(np.float32)
    given = (reward, logging[arms], target[arms], model[arms], np.full(arms.shape, model @ target))
    found = jax.jit(jax.vmap(estimate))(*(jnp.asarray(one, jnp.float32) for one in given))
    for name in ("ips", "snips", "doubly_robust"):
        values = np.asarray(getattr(found, name))
        assert values.mean() == pytest.approx(means @ target, abs=4 * values.std() / np.sqrt(len(values)) + 2e-3)
    if not wrong_model:
        assert np.asarray(found.doubly_robust).std() < np.asarray(found.ips).std()


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0.05, 1), min_size=2, max_size=20), st.floats(0, 1))
def test_a_constant_reward_is_found_by_snips(chances: list[float], reward: float) -> None:
    n = len(chances)
    found = estimate(*arrays([reward] * n, chances, [1.0] * n, [0.0] * n, [0.0] * n))
    assert float(found.snips) == pytest.approx(reward, abs=1e-5)
    assert 0 < float(found.effective) <= n + 1e-3


def test_with_and_without_jit() -> None:
    random = np.random.default_rng(2)
    given = [jnp.asarray(random.uniform(0.1, 1, 30), jnp.float32) for _ in range(5)]
    for one, other in zip(estimate(*given), jax.jit(estimate)(*given), strict=True):
        assert float(one) == pytest.approx(float(other), rel=1e-5)
