"""Simulated users: each kind does what it says, and what is noise is known."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.users import BEHAVIOUR, Kind, simulate

SHOWN = 3000
RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.choice([0.0, 0.5, 1.0], SHOWN)
PROMOTED = RANDOM.random(SHOWN) < 0.2
DOMAIN = RANDOM.integers(-1, 3, SHOWN)


def log(kind: Kind, noise: float = 1.0, seed: int = 0) -> users.Simulated:
    """Everything said by a crowd in which the noisy are all of one kind."""
    return simulate(seed, TRUTH, PROMOTED, DOMAIN, 1e9, users=40, noise=noise, each=4, kinds=(kind,))


def truth_of(found: users.Simulated) -> np.ndarray:
    return TRUTH[found.batch.query]


def test_the_honest_say_the_truth_with_a_little_error() -> None:
    found = log(Kind.HONEST)
    assert not found.noise.any()
    for truth in (0.0, 0.5, 1.0):
        said = found.batch.rating[truth_of(found) == truth]
        assert abs(np.median(said) - truth) < 0.01 and said.std() < BEHAVIOUR.rating_sd * 1.05
    assert np.median(found.batch.dwell_s) == pytest.approx(BEHAVIOUR.dwell_s, rel=0.05)
    assert np.log(found.batch.dwell_s).std() == pytest.approx(BEHAVIOUR.dwell_spread, rel=0.05)


def test_the_careless_guess_in_haste() -> None:
    found = log(Kind.CARELESS)
    assert found.noise.mean() == pytest.approx(BEHAVIOUR.guess_share, abs=0.02)
    guesses = found.batch.rating[found.noise]
    assert abs(np.corrcoef(guesses, truth_of(found)[found.noise])[0, 1]) < 0.05
    assert np.corrcoef(found.batch.rating[~found.noise], truth_of(found)[~found.noise])[0, 1] > 0.9
    assert np.median(found.batch.dwell_s[found.noise]) == pytest.approx(BEHAVIOUR.guess_dwell_s, rel=0.05)
    assert np.median(found.batch.dwell_s[~found.noise]) == pytest.approx(BEHAVIOUR.dwell_s, rel=0.06)


def test_a_spammer_always_says_the_same() -> None:
    found = log(Kind.SPAMMER)
    assert found.noise.all()
    said = [np.unique(found.batch.rating[found.batch.user == user]).tolist() for user in range(40)]
    assert sorted(map(str, said)) == ["[0.0]"] * 20 + ["[1.0]"] * 20


def test_colluders_promote_their_own_and_look_honest() -> None:
    found = log(Kind.COLLUDER)
    assert found.noise.all()
    np.testing.assert_array_equal(found.batch.rating, PROMOTED[found.batch.query].astype(np.float32))
    assert np.median(found.batch.dwell_s) == pytest.approx(BEHAVIOUR.dwell_s, rel=0.05)


def test_the_position_biased_miss_what_lies_low() -> None:
    found = log(Kind.POSITION_BIASED)
    assert (found.batch.rating[found.noise] == 0).all()
    for position in (1, 2, 5):
        missed = found.noise[found.batch.position == position].mean()
        assert missed == pytest.approx(1 - position**-BEHAVIOUR.severity, abs=0.04)


def test_the_drifting_begin_honest_and_end_at_random() -> None:
    found = log(Kind.DRIFTING)
    tenth = len(found.noise) // 10
    assert found.noise[:tenth].mean() < 0.1 < 0.9 < found.noise[-tenth:].mean()


def test_positions_follow_the_propensity() -> None:
    position = log(Kind.HONEST).batch.position
    share = np.bincount(position, minlength=BEHAVIOUR.depth + 1)[1:] / len(position)
    looks = np.arange(1, BEHAVIOUR.depth + 1) ** -BEHAVIOUR.severity
    np.testing.assert_allclose(share, looks / looks.sum(), atol=0.015)


def test_the_crowd_holds_as_many_of_each_as_asked() -> None:
    for noise, honest in ((0.0, 100), (0.3, 70), (0.5, 50), (1.0, 0)):
        crowd = users.gather(jax.random.key(1), 100, jnp.float32(noise))
        count = np.bincount(crowd.kind, minlength=len(Kind))
        assert count[Kind.HONEST] == honest and np.ptp(count[1:]) <= 1


def test_an_answer_is_read_by_different_users_all_in_turn() -> None:
    found = log(Kind.HONEST).batch
    by_answer = found.user.reshape(SHOWN, 4)
    assert (np.diff(np.sort(by_answer, axis=1), axis=1) > 0).all()
    assert np.bincount(found.user, minlength=40).min() > 200
    np.testing.assert_array_equal(found.query, np.repeat(np.arange(SHOWN), 4))
    np.testing.assert_array_equal(found.domain, DOMAIN[found.query])
    np.testing.assert_array_equal(found.time_s, 1e9 + found.query)


def test_a_seed_gives_one_log_and_seeds_give_different_ones() -> None:
    one, again, other = (log(Kind.CARELESS, 0.5, seed) for seed in (3, 3, 4))
    for mine, theirs in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (one.batch.rating != other.batch.rating).any()


def test_types_are_those_of_feedback() -> None:
    kinds = [column.dtype for column in log(Kind.CARELESS, 0.5).batch]
    assert kinds == [np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32]


@pytest.mark.parametrize("each", [0, 41])
def test_more_readings_than_users(each: int) -> None:
    with pytest.raises(ConfigError, match=rf"^{each} readings of every answer by 40 users; give from 1 to 40$"):
        simulate(0, TRUTH, PROMOTED, DOMAIN, 0.0, users=40, noise=0.0, each=each)
