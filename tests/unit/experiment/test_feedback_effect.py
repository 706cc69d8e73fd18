"""What the filter saves, on rewards where colluders push what is worst."""

from __future__ import annotations

import numpy as np
import pytest
from feedback_batches import SETTINGS

from rag_lab import replay
from rag_lab.experiment.feedback_effect import Effect, Trial, effect, effects
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Setting
from rag_lab.metrics import interval

ACTIONS, DOMAINS, SEEDS = 5, 2, 40
DOMAIN = np.repeat(np.arange(DOMAINS), 30)
WORTH = np.array([[0.2, 0.8, 0.6, 0.5, 0.4], [0.2, 0.4, 0.5, 0.8, 0.6]])
REWARDS = (np.random.default_rng(0).random((60, 1)) < WORTH[DOMAIN]).astype(np.float64)
STREAM = replay.streams(0, SEEDS, DOMAIN, 100)
KINDS = (int(users.Kind.COLLUDER), int(users.Kind.SPAMMER))
ALPHAS = np.arange(ACTIONS) / 4
SETTING = Setting(
    ("a", "b"), tuple(map(str, ALPHAS)), ALPHAS, ALPHAS[:, None], (), None,
    lambda per_domain, budget: np.zeros(3, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
)  # fmt: skip
POLICY = thompson.build(
    prior_mean=0.5, prior_slope=0.0, prior_strength=2.0, reward_sd=0.4, actions=("alpha",), update_every=1, delay=0
)
PLACE = DOMAIN.astype(np.int32)
WORLD = replay.World(REWARDS, PLACE, np.zeros((60, 1), np.float32), DOMAIN, np.zeros(REWARDS.shape, np.int32))
TRIAL = Trial(
    POLICY, POLICY.init(SETTING), WORLD, STREAM, Crowd(60, 4, 4, 60.0, users.BEHAVIOUR), KINDS, update_every=10
)


@pytest.fixture(scope="module")
def found() -> Effect:
    return effect(TRIAL, (0.0, 0.4), SETTINGS, seed=0)


def test_the_filter_pays_where_there_is_noise_and_costs_little_where_there_is_none(found: Effect) -> None:
    clean, noisy = found.levels
    assert (clean.noise, noisy.noise) == (0.0, 0.4)
    assert noisy.saved.low > 0
    assert clean.saved.low <= 0.1 * clean.without.value
    assert clean.saved.value > -0.1 * clean.without.value
    assert noisy.without.value > clean.without.value


def test_saved_is_paired(found: Effect) -> None:
    for level in found.levels:
        assert level.saved.value == pytest.approx(level.without.value - level.filtered.value)
        for one in (level.without, level.filtered, level.saved):
            assert one.low < one.value < one.high


def test_detection_is_told_apart_from_its_absence(found: Effect) -> None:
    clean, noisy = found.levels
    assert clean.recall is None and clean.noise_share == 0 and clean.noise_weight == 0
    assert noisy.precision is not None and noisy.recall is not None
    assert noisy.precision > 0.6 and noisy.recall > 0.8
    assert noisy.noise_weight < 0.3 * noisy.noise_share


def test_curves_end_where_the_levels_say(found: Effect) -> None:
    for band, name in ((found.without, "without"), (found.filtered, "filtered")):
        assert all(each.shape == (2, 100) for each in band)
        assert (np.diff(band.mean, axis=1) >= 0).all()
        assert (band.low <= band.mean).all() and (band.mean <= band.high).all()
        for number, level in enumerate(found.levels):
            ends = [float(each[number, -1]) for each in band]
            assert ends == pytest.approx(list(getattr(level, name)))


def test_honest_feedback_is_kept(found: Effect) -> None:
    clean, noisy = found.levels
    assert clean.kept > 0.97 and noisy.kept > 0.85


def test_several_settings_meet_the_same_play_without_a_filter(found: Effect) -> None:
    done: list[int] = []
    both = effects(
        TRIAL, (0.4,), [SETTINGS, SETTINGS._replace(min_trust=0.9)], seed=0, done=lambda: done.append(1),
    )  # fmt: skip
    assert len(done) == 3 and both[0].levels == found.levels[1:]
    assert both[0].levels[0].without == both[1].levels[0].without
    assert both[1].levels[0].kept < 0.5


def test_interval_by_hand() -> None:
    """1, 2, 3: mean 2, standard error 1/√3."""
    assert interval.of_seeds(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 1.96 / 3**0.5, 2 + 1.96 / 3**0.5))
