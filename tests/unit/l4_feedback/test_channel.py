"""What comes back of decisions, played on rewards where it is clear what is best."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from feedback_batches import SETTINGS

from rag_lab import replay
from rag_lab.errors import ConfigError
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd, readers
from rag_lab.l4_feedback.feedback import Settings
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Pace, Policy, Setting

QUERIES, ACTIONS, DOMAINS, SEEDS = 60, 5, 2, 12
DOMAIN = np.repeat(np.arange(DOMAINS), QUERIES // DOMAINS)
# Action 1 is best in the first domain and 3 in the second; 0 is worst, and what colluders push.
WORTH = np.array([[0.2, 0.8, 0.6, 0.5, 0.4], [0.2, 0.4, 0.5, 0.8, 0.6]])
REWARDS = (np.random.default_rng(0).random((QUERIES, 1)) < WORTH[DOMAIN]).astype(np.float32)
PROMOTED = np.zeros(DOMAINS + 1, np.int64)
STREAM = replay.streams(0, SEEDS, DOMAIN, 100)
CROWD = Crowd(users=60, readers=4, window=4, step_s=60.0, behaviour=users.BEHAVIOUR)
ROUNDS = 10  # between two updates
ALPHAS = np.arange(ACTIONS) / 4
SETTING = Setting(
    ("a", "b"), tuple(map(str, ALPHAS)), ALPHAS, ALPHAS[:, None], (), None,
    lambda per_domain, budget: np.zeros(3, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
)  # fmt: skip
PLACE = DOMAIN.astype(np.int32)
WORLD = replay.World(REWARDS, PLACE, np.zeros((QUERIES, 1), np.float32), DOMAIN, np.zeros(REWARDS.shape, np.int32))
POLICY: Policy = thompson.build(
    prior_mean=0.5, prior_slope=0.0, prior_strength=2.0, reward_sd=0.4, actions=("alpha",), update_every=1, delay=0
)._replace(pace=Pace(ROUNDS, 0))


def play(noise: float, settings: Settings | None = None, seed: int = 0, **changes: Any) -> replay.Path:
    given = {"state": POLICY.init(SETTING), "stream": STREAM} | changes
    channel = readers(CROWD, noise, users.NOISY, PROMOTED, settings)
    return replay.play(POLICY, given["state"], WORLD, given["stream"], seed=seed, channel=channel)


def earned(path: replay.Path) -> float:
    """The mean true worth of what was done in the second half."""
    half = STREAM.shape[1] // 2
    return float(WORTH[DOMAIN[STREAM[:, half:]], path.action[:, half:]].mean())


def test_without_noise_the_bandit_learns_with_or_without_a_filter() -> None:
    plain, filtered = play(0.0), play(0.0, SETTINGS)
    assert earned(plain) > 0.68 and earned(filtered) > 0.68  # 0.46 at random, 0.8 at best
    assert plain.heard.noise.sum() == filtered.heard.noise.sum() == 0
    assert plain.heard.dropped.sum() == 0
    assert filtered.heard.dropped.mean() < 0.05 * STREAM.shape[1] * CROWD.readers


def test_every_answer_is_worth_one_observation_without_a_filter() -> None:
    strength = np.asarray(play(0.3).state.strength).sum(axis=2)[:, :DOMAINS]
    np.testing.assert_allclose(strength, 2.0 * ACTIONS + STREAM.shape[1] / DOMAINS, rtol=1e-4)


def test_the_filter_takes_the_weight_off_noise() -> None:
    plain, filtered = play(0.4).heard, play(0.4, SETTINGS).heard
    assert (plain.noise > 0).all()
    np.testing.assert_allclose(plain.noise_weight, plain.noise, rtol=1e-4)
    share = [(one.noise_weight / one.weight).mean() for one in (plain, filtered)]
    assert share[1] < 0.35 * share[0]
    assert (filtered.caught <= filtered.dropped).all() and (filtered.caught <= filtered.noise).all()


def test_both_ways_meet_the_same_crowd_and_first_batch() -> None:
    plain, filtered = play(0.3), play(0.3, SETTINGS)
    first = ROUNDS * DOMAINS
    np.testing.assert_array_equal(plain.action[:, :first], filtered.action[:, :first])
    assert (plain.action != filtered.action).any()


def test_a_seed_gives_one_way_and_more_seeds_leave_the_first_as_they_were() -> None:
    whole, again, other, fewer = play(0.2), play(0.2), play(0.2, seed=1), play(0.2, stream=STREAM[:3])
    np.testing.assert_array_equal(whole.action, again.action)
    assert (whole.action != other.action).any()
    np.testing.assert_array_equal(whole.action[:3], fewer.action)


def test_more_readers_than_users() -> None:
    with pytest.raises(ConfigError, match=r"^61 readers out of 60 users; choose from 1 to all of them$"):
        readers(CROWD._replace(readers=61), 0.0, users.NOISY, PROMOTED, None)
