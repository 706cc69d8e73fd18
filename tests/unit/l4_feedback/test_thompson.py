"""What is Thompson sampling's alone; the rest is in test_policies.py and kernels/test_thompson.py."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Context, Setting
from rag_lab.wiring import build

ALPHAS = np.array([0.0, 0.5, 1.0])
SETTING = Setting(
    ("a", "b"), ("0", "0.5", "1"), ALPHAS, ALPHAS[:, None], (), np.array([1.0, 0.5, 0.0]),
    lambda per_domain, budget: np.zeros(3, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
)  # fmt: skip
PACED = {"actions": ("alpha",), "update_every": 1, "delay": 0}
POLICY = thompson.build(prior_mean=0.7, prior_slope=0.2, prior_strength=4.0, reward_sd=0.4, **PACED)
ONE = jnp.float32(1)


def at(place: int | jax.Array) -> Context:
    return Context(jnp.int32(place), jnp.zeros(0))


TARGET = "rag_lab.l4_feedback.policies.thompson.build"


def test_the_prior_falls_with_the_distance_from_the_preset() -> None:
    state = POLICY.init(SETTING)
    np.testing.assert_allclose(state.mean, [[0.5, 0.6, 0.7], [0.6, 0.7, 0.6], [0.7, 0.6, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(state.strength, 4)
    np.testing.assert_allclose(state.reward_sd, 0.4)
    assert [int(POLICY.greedy(state, at(context))) for context in range(3)] == [2, 1, 0]


def test_an_update_by_hand() -> None:
    """Belief 0.7 worth four observations meets a reward of 0.2: 0.6, worth five."""
    state = POLICY.update(POLICY.init(SETTING), at(1), jnp.int32(1), jnp.float32(0.2), ONE)
    np.testing.assert_allclose(state.mean[1], [0.6, 0.6, 0.6], rtol=1e-6)
    assert state.strength[1].tolist() == [4, 5, 4]


def test_it_finds_the_best_action_of_each_domain() -> None:
    """Rewards contradict both presets; after 400 steps the belief has turned."""
    rewards = jnp.array([[0.9, 0.5, 0.3], [0.2, 0.3, 0.8]])

    def one(state: object, step: tuple[jax.Array, jax.Array]) -> tuple[object, None]:
        key, place = step
        context = Context(place, jnp.zeros(0))
        action = POLICY.act(POLICY.chance(key, state, ()), state, context)
        return POLICY.update(state, context, action, rewards[place, action], ONE), None

    keys = jax.random.split(jax.random.key(0), 400)
    state, _ = jax.jit(lambda: jax.lax.scan(one, POLICY.init(SETTING), (keys, jnp.arange(400) % 2)))()
    assert [int(POLICY.greedy(state, at(context))) for context in range(2)] == [0, 2]
    np.testing.assert_allclose([state.mean[0, 0], state.mean[1, 2]], [0.9, 0.8], atol=0.05)
    assert float(POLICY.propensity(state, at(0))[0]) > 0.9


def test_surer_after_more_rewards() -> None:
    """The same mean reward, seen more often, makes the best action likelier."""
    chances, state = [], POLICY.init(SETTING)
    update = jax.jit(POLICY.update)
    for _ in range(3):
        chances.append(float(POLICY.propensity(state, at(1))[1]))
        for _ in range(20):
            for action, reward in enumerate((0.5, 0.7, 0.5)):
                state = update(state, at(1), jnp.int32(action), jnp.float32(reward), ONE)
    assert chances[0] < chances[1] < chances[2]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prior_strength", 0.0),
        ("reward_sd", 0.0),
        ("reward_sd", -1.0),
        ("prior_slope", -0.1),
        ("prior_mean", "high"),
    ],
)
def test_values_that_are_not_allowed(key: str, value: object) -> None:
    node = {"_target_": TARGET, "prior_mean": 0.7, "prior_slope": 0.1, "prior_strength": 4.0, "reward_sd": 0.4} | PACED
    with pytest.raises(ConfigError, match=rf"^policy\.{key}: given "):
        build(node | {key: value}, "policy")
