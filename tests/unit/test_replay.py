"""Replay, held against a plain loop that is given the same normals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from rag_lab import replay
from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.channel import Clicks, clicks
from rag_lab.l4_feedback.policies import static, thompson
from rag_lab.l4_feedback.policy import Context, Pace, Policy, Setting

QUERIES, DOMAINS, SEEDS, SEED = 30, 2, 1000, 7
ALPHAS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
PER_DOMAIN = 40
STEPS = PER_DOMAIN * DOMAINS
RANDOM = np.random.default_rng(0)
DOMAIN = np.arange(QUERIES) % DOMAINS
REWARDS = (RANDOM.random((QUERIES, len(ALPHAS))) < np.linspace(0.3, 0.7, len(ALPHAS))).astype(np.float32)
PRESETS = np.array([0.75, 0.25, 0.5])
FEATURES = RANDOM.normal(size=(QUERIES, 2)).astype(np.float32)
SETTING = Setting(
    ("healthcare", "finance"), tuple(map(str, ALPHAS)), ALPHAS, ALPHAS[:, None], ("one", "two"), PRESETS,
    lambda per_domain, budget: np.zeros(3, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
)  # fmt: skip
PLAIN = {"actions": ("alpha",), "update_every": 1, "delay": 0}
MEAN, SLOPE, STRENGTH, REWARD_SD = 0.7, 0.1, 4.0, 0.4
PRIOR = MEAN - SLOPE * np.abs(ALPHAS - PRESETS[:, None])


TRACED: list[str] = []  # one entry whenever the policy's `act` is traced


PLAYED = thompson.build(prior_mean=MEAN, prior_slope=SLOPE, prior_strength=STRENGTH, reward_sd=REWARD_SD, **PLAIN)


def _act(chance: jax.Array, state: object, context: Context) -> jax.Array:
    TRACED.append("act")
    return PLAYED.act(chance, state, context)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return PLAYED._replace(act=_act)


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    return replay.streams(SEED, SEEDS, DOMAIN, PER_DOMAIN)


NOTHING = np.zeros(REWARDS.shape, np.int32)


def world(place: np.ndarray = DOMAIN, clues: np.ndarray = NOTHING) -> replay.World:
    return replay.World(REWARDS, place, FEATURES, DOMAIN, clues)


def played(policy: Policy, stream: np.ndarray, place: np.ndarray = DOMAIN, log: bool = False) -> replay.Path:
    return replay.play(policy, policy.init(SETTING), world(place), stream, seed=SEED, log=log)


@pytest.fixture(scope="module")
def path(policy: Policy, stream: np.ndarray) -> replay.Path:
    return played(policy, stream)


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """[seeds, steps, actions] The very normals that each seed's bandit draws, from the keys as documented."""

    def one(number: jax.Array) -> jax.Array:
        base = jax.random.fold_in(jax.random.key(SEED), replay.PURPOSE)
        own = jax.random.split(jax.random.fold_in(base, number), 3)[0]
        pieces = replay.parts(PER_DOMAIN)
        drawn = [jax.random.normal(one, (STEPS // pieces * len(ALPHAS),)) for one in jax.random.split(own, pieces)]
        return jnp.concatenate(drawn).reshape(STEPS, len(ALPHAS))

    return np.asarray(jax.jit(jax.vmap(one))(jnp.arange(SEEDS)))


def test_streams_take_turns_and_stay_in_their_domain(stream: np.ndarray) -> None:
    assert stream.shape == (SEEDS, STEPS)
    assert (DOMAIN[stream] == np.arange(STEPS) % DOMAINS).all()
    assert len(np.unique(stream, axis=0)) == SEEDS
    shares = np.bincount(stream.ravel(), minlength=QUERIES) / stream.size
    np.testing.assert_allclose(shares, 1 / QUERIES, rtol=0.15)


def test_more_seeds_leave_the_first_streams_as_they_were(stream: np.ndarray) -> None:
    assert (replay.streams(SEED, 5, DOMAIN, PER_DOMAIN) == stream[:5]).all()
    assert (replay.streams(SEED + 1, 5, DOMAIN, PER_DOMAIN) != stream[:5]).any()


def test_a_query_may_come_again() -> None:
    few = replay.streams(SEED, 3, np.array([0, 1, 1]), 8)
    assert few.shape == (3, 16) and (few[:, ::2] == 0).all()


def test_a_thousand_seeds_equal_the_loop(path: replay.Path, stream: np.ndarray, normals: np.ndarray) -> None:
    """Bandit by bandit, step by step. Only where the loop's two best samples are within rounding may ways part."""
    actions, mean, strength = np.asarray(path.action), np.asarray(path.state.mean), np.asarray(path.state.strength)
    parted = 0
    for seed in range(SEEDS):
        for domain in range(DOMAINS):
            own = slice(domain, None, DOMAINS)
            arguments = PRIOR[domain], STRENGTH, REWARD_SD
            steps, draws = stream[seed, own], normals[seed, own]
            expected, final, pulls = reference.thompson_run(REWARDS, steps, *arguments, draws)
            differs = np.flatnonzero(actions[seed, own] != expected)
            if len(differs):
                first = differs[0]
                _, belief, seen = reference.thompson_run(REWARDS, steps[:first], *arguments, draws[:first])
                samples = belief + REWARD_SD / np.sqrt(STRENGTH + seen) * draws[first]
                assert np.diff(np.sort(samples)[-2:]) < 1e-5, (seed, domain, first)
                parted += 1
            else:
                np.testing.assert_allclose(mean[seed, domain], final, atol=1e-5)
                np.testing.assert_allclose(strength[seed, domain], STRENGTH + pulls)
    assert parted <= 4  # of 2,000 bandits


def test_the_context_of_no_domain_keeps_its_prior(path: replay.Path) -> None:
    np.testing.assert_allclose(np.asarray(path.state.mean)[:, DOMAINS], np.tile(PRIOR[DOMAINS], (SEEDS, 1)), rtol=1e-6)
    assert (np.asarray(path.state.strength)[:, DOMAINS] == STRENGTH).all()


def test_greedy_is_the_best_belief_after_each_round(path: replay.Path) -> None:
    assert path.greedy is not None and path.greedy.shape == (SEEDS, PER_DOMAIN, DOMAINS + 1)
    assert (path.greedy[:, -1] == np.asarray(path.state.mean).argmax(axis=2)).all()
    assert (path.greedy[:, :, DOMAINS] == path.greedy[:, :1, DOMAINS]).all()  # the unknown domain is never met


def test_value_is_what_the_greedy_choices_earn_on_the_probed_queries(path: replay.Path, stream: np.ndarray) -> None:
    assert path.greedy is not None
    pieces = replay.parts(PER_DOMAIN)
    probe = replay.probe(stream, DOMAINS)
    assert path.value.shape == (SEEDS, pieces, DOMAINS)
    for piece in (0, pieces - 1):
        after = path.greedy[:, (piece + 1) * PER_DOMAIN // pieces - 1]
        expected = [REWARDS[probe[one]][:, after[:, one]].mean(axis=0) for one in range(DOMAINS)]
        np.testing.assert_allclose(path.value[:, piece], np.stack(expected, axis=1), atol=1e-5)


def test_more_seeds_leave_the_first_paths_as_they_were(policy: Policy, path: replay.Path, stream: np.ndarray) -> None:
    few = played(policy, stream[:10])
    assert (np.asarray(few.action) == np.asarray(path.action)[:10]).all()
    assert (np.asarray(few.greedy) == np.asarray(path.greedy)[:10]).all()


def test_a_path_comes_again_and_another_seed_gives_another(
    policy: Policy, path: replay.Path, stream: np.ndarray
) -> None:
    assert (np.asarray(played(policy, stream).action) == np.asarray(path.action)).all()
    other = replay.play(policy, policy.init(SETTING), world(), stream, seed=SEED + 1)
    assert (np.asarray(other.action) != np.asarray(path.action)).mean() > 0.3


def test_the_detected_context_decides_whose_belief_is_used(policy: Policy, stream: np.ndarray) -> None:
    """All queries of the second domain are taken for unknown: only the pooled belief and the first one learn."""
    context = np.where(DOMAIN == 1, DOMAINS, DOMAIN)
    strength = np.asarray(played(policy, stream, context).state.strength)
    np.testing.assert_allclose(strength.sum(axis=2) - STRENGTH * len(ALPHAS), [[PER_DOMAIN, 0, PER_DOMAIN]] * SEEDS)


def test_logged_propensities_are_those_of_the_action_taken(
    policy: Policy, path: replay.Path, stream: np.ndarray
) -> None:
    """Of the belief before the step, that is: at first, of the prior. Logging alters no path."""
    logged = played(policy, stream[:50], log=True)
    assert path.propensity is None and logged.propensity is not None
    assert (np.asarray(logged.action) == np.asarray(path.action)[:50]).all()
    chance, first = np.asarray(logged.propensity), np.asarray(path.action)[:50, 0]
    assert chance.shape == (50, STEPS) and ((chance > 0) & (chance <= 1)).all()
    expected = np.asarray(policy.propensity(policy.init(SETTING), Context(jnp.int32(0), jnp.zeros(2))))
    np.testing.assert_allclose(chance[:, 0], expected[first], rtol=1e-5)
    assert len(np.unique(first)) > 2


def test_a_policy_that_does_not_learn_does_the_same_on_every_seed(stream: np.ndarray) -> None:
    still = played(static.build(alpha=0.25, actions=("alpha",)), stream[:10], log=True)
    assert (np.asarray(still.action) == 1).all() and (np.asarray(still.greedy) == 1).all()
    assert (np.asarray(still.propensity) == 1).all()


def test_learning_beats_the_prior(path: replay.Path) -> None:
    """Where larger α pay more, the greedy action's true mean reward is higher at the end than at the start."""
    assert path.value[:, -1].mean() > path.value[:, 0].mean() + 0.01


def test_updates_come_in_batches(policy: Policy, stream: np.ndarray) -> None:
    """With updates every four rounds, actions within a batch come of one belief: the loop by hand agrees."""
    slow = policy._replace(pace=Pace(4, 0))
    path = played(slow, stream[:5])
    assert path.greedy is not None and path.greedy.shape[1] == PER_DOMAIN // 4
    strength = np.asarray(path.state.strength)
    np.testing.assert_allclose(strength.sum(axis=2)[:, :DOMAINS], STRENGTH * len(ALPHAS) + PER_DOMAIN)
    first = np.asarray(played(policy, stream[:5]).action)[:, :DOMAINS]
    assert (np.asarray(path.action)[:, :DOMAINS] == first).all()  # the first round knows the same either way


def test_delayed_feedback_comes_late_and_its_end_never(policy: Policy, stream: np.ndarray) -> None:
    late = policy._replace(pace=Pace(1, 7))
    path = played(late, stream[:5])
    strength = np.asarray(path.state.strength).sum(axis=2)[:, :DOMAINS]
    np.testing.assert_allclose(strength, STRENGTH * len(ALPHAS) + PER_DOMAIN - 7)
    assert path.greedy is not None
    assert (path.greedy[:, :7, :DOMAINS] == PRIOR[:DOMAINS].argmax(axis=1)).all()


def test_a_batch_that_does_not_divide_the_stream(policy: Policy, stream: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=r"^policy\.update_every=7 does not divide a stream of 40 queries a domain$"):
        played(policy._replace(pace=Pace(7, 0)), stream[:2])


def test_clicks_are_right_on_average(stream: np.ndarray) -> None:
    """Where the first rank is relevant and the second not, the debiased reward is 1 of `full` on average."""
    model = Clicks(severity=1.0, relevant=0.7, other=0.05, full=20.0)  # so full that nothing is clipped
    clues = np.ones(REWARDS.shape, np.int32)
    flat = thompson.build(prior_mean=0.0, prior_slope=0.0, prior_strength=0.01, reward_sd=0.4, **PLAIN)
    path = replay.play(flat, flat.init(SETTING), world(clues=clues), stream, seed=SEED, channel=clicks(model))
    mean = np.asarray(path.state.mean)[:, :DOMAINS]
    weight = np.asarray(path.state.strength)[:, :DOMAINS] - 0.01
    heard = (mean * (weight + 0.01)).sum() / weight.sum()
    assert heard == pytest.approx(1 / model.full, rel=0.35)  # clipping at 0 lifts it a little
    assert (np.asarray(path.heard) > 0).all()


def test_one_program_plays_all_seeds(policy: Policy, path: replay.Path, stream: np.ndarray) -> None:
    """Traced no more often than a scan's body must be, however many seeds and steps; and not again."""
    del TRACED[:]
    played(policy, stream[:3])
    assert 1 <= len(TRACED) <= 3
    count = len(TRACED)
    played(policy, stream[3:6])
    played(policy, stream)
    assert len(TRACED) == count
