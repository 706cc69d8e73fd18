"""What the filter saves, on rewards where colluders push what is worst."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from feedback_batches import SETTINGS

from rag_lab import replay
from rag_lab.experiment.feedback_effect import Effect, effect, effects, over_seeds
from rag_lab.kernels import thompson
from rag_lab.l4_feedback import loop, users

ACTIONS, DOMAINS, SEEDS = 5, 2, 40
DOMAIN = np.repeat(np.arange(DOMAINS), 30)
WORTH = np.array([[0.2, 0.8, 0.6, 0.5, 0.4], [0.2, 0.4, 0.5, 0.8, 0.6]])
REWARDS = (np.random.default_rng(0).random((60, 1)) < WORTH[DOMAIN]).astype(np.float64)
STREAM = replay.streams(0, SEEDS, DOMAIN, 100)
KINDS = (int(users.Kind.COLLUDER), int(users.Kind.SPAMMER))
SHAPE = DOMAINS + 1, ACTIONS
STATE = thompson.Arms(jnp.full(SHAPE, 0.5), jnp.full(SHAPE, 2.0), jnp.full(SHAPE[0], 0.4))
SETUP = loop.Setup(60, 4, 20, 4, 60.0, KINDS, users.BEHAVIOUR)


@pytest.fixture(scope="module")
def found() -> Effect:
    return effect(STATE, REWARDS, DOMAIN, DOMAIN, STREAM, (0.0, 0.4), SETUP, SETTINGS, seed=0)


def test_the_filter_pays_where_there_is_noise_and_costs_little_where_there_is_none(found: Effect) -> None:
    clean, noisy = found.levels
    assert (clean.noise, noisy.noise) == (0.0, 0.4)
    assert noisy.saved.low > 0
    assert clean.saved.low <= 0.1 * clean.without.mean
    assert clean.saved.mean > -0.1 * clean.without.mean
    assert noisy.without.mean > clean.without.mean


def test_saved_is_paired(found: Effect) -> None:
    for level in found.levels:
        assert level.saved.mean == pytest.approx(level.without.mean - level.filtered.mean)
        for interval in (level.without, level.filtered, level.saved):
            assert interval.low < interval.mean < interval.high


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
        STATE, REWARDS, DOMAIN, DOMAIN, STREAM, (0.4,), SETUP,
        [SETTINGS, SETTINGS._replace(min_trust=0.9)], seed=0, done=lambda: done.append(1),
    )  # fmt: skip
    assert len(done) == 3 and both[0].levels == found.levels[1:]
    assert both[0].levels[0].without == both[1].levels[0].without
    assert both[1].levels[0].kept < 0.5


def test_interval_by_hand() -> None:
    """1, 2, 3: mean 2, standard error 1/√3."""
    assert over_seeds(np.array([1.0, 2.0, 3.0])) == pytest.approx((2, 2 - 1.96 / 3**0.5, 2 + 1.96 / 3**0.5))
