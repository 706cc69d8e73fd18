"""Replay, held against a plain loop that is given the same normals."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference

from rag_lab import replay
from rag_lab.l4_feedback.policies import static, thompson
from rag_lab.l4_feedback.policy import Policy, Setting

QUERIES, DOMAINS, SEEDS, SEED = 30, 2, 1000, 7
ALPHAS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
PER_DOMAIN = 40
STEPS = PER_DOMAIN * DOMAINS
RANDOM = np.random.default_rng(0)
DOMAIN = np.arange(QUERIES) % DOMAINS
REWARDS = (RANDOM.random((QUERIES, len(ALPHAS))) < np.linspace(0.3, 0.7, len(ALPHAS))).astype(np.float32)
PRESETS = np.array([0.75, 0.25, 0.5])
SETTING = Setting(("healthcare", "finance"), ALPHAS, PRESETS, lambda per_domain, budget: np.zeros(3, np.int64))
MEAN, SLOPE, STRENGTH, REWARD_SD = 0.7, 0.1, 4.0, 0.4
PRIOR = MEAN - SLOPE * np.abs(ALPHAS - PRESETS[:, None])


TRACED: list[str] = []  # one entry whenever the policy's `act` is traced


@pytest.fixture(scope="module")
def policy() -> Policy:
    plain = thompson.build(prior_mean=MEAN, prior_slope=SLOPE, prior_strength=STRENGTH, reward_sd=REWARD_SD)

    def act(key: jax.Array, state: object, context: jax.Array) -> jax.Array:
        TRACED.append("act")
        return plain.act(key, state, context)

    return plain._replace(act=act)


@pytest.fixture(scope="module")
def stream() -> np.ndarray:
    return replay.streams(SEED, SEEDS, DOMAIN, PER_DOMAIN)


def played(policy: Policy, stream: np.ndarray, context: np.ndarray = DOMAIN, log: bool = False) -> replay.Path:
    return replay.play(
        policy, policy.init(SETTING), REWARDS, stream, context, seed=SEED, contexts=DOMAINS + 1, log=log
    )


@pytest.fixture(scope="module")
def path(policy: Policy, stream: np.ndarray) -> replay.Path:
    return played(policy, stream)


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """[seeds, steps, actions] The very normals that each seed's bandit draws, from the keys as documented."""

    def one(number: jax.Array) -> jax.Array:
        own = jax.random.fold_in(jax.random.fold_in(jax.random.key(SEED), replay.PURPOSE), number)
        keys = jax.random.split(own, STEPS)
        return jax.vmap(lambda key: jax.random.normal(key, (len(ALPHAS),)))(keys)

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
    np.testing.assert_allclose(
        np.asarray(path.state.mean)[:, DOMAINS], np.tile(PRIOR[DOMAINS], (SEEDS, 1)), rtol=1e-6
    )
    assert (np.asarray(path.state.strength)[:, DOMAINS] == STRENGTH).all()


def test_greedy_is_the_best_belief_after_the_step(path: replay.Path) -> None:
    greedy = np.asarray(path.greedy)
    assert greedy.shape == (SEEDS, STEPS, DOMAINS + 1)
    assert (greedy[:, -1] == np.asarray(path.state.mean).argmax(axis=2)).all()
    for domain in range(DOMAINS):  # a step in one domain changes nothing in another
        others = np.flatnonzero(np.arange(STEPS) % DOMAINS != domain)[1:]
        assert (greedy[:, others, domain] == greedy[:, others - 1, domain]).all()


def test_more_seeds_leave_the_first_paths_as_they_were(
    policy: Policy, path: replay.Path, stream: np.ndarray
) -> None:
    few = played(policy, stream[:10])
    assert (np.asarray(few.action) == np.asarray(path.action)[:10]).all()
    assert (np.asarray(few.greedy) == np.asarray(path.greedy)[:10]).all()


def test_a_path_comes_again_and_another_seed_gives_another(
    policy: Policy, path: replay.Path, stream: np.ndarray
) -> None:
    assert (np.asarray(played(policy, stream).action) == np.asarray(path.action)).all()
    other = replay.play(policy, policy.init(SETTING), REWARDS, stream, DOMAIN, seed=SEED + 1, contexts=DOMAINS + 1)
    assert (np.asarray(other.action) != np.asarray(path.action)).mean() > 0.3


def test_the_detected_context_decides_whose_belief_is_used(policy: Policy, stream: np.ndarray) -> None:
    """All queries of the second domain are taken for unknown: only the pooled belief and the first one learn."""
    context = np.where(DOMAIN == 1, DOMAINS, DOMAIN)
    strength = np.asarray(played(policy, stream, context).state.strength)
    np.testing.assert_allclose(
        strength.sum(axis=2) - STRENGTH * len(ALPHAS), [[PER_DOMAIN, 0, PER_DOMAIN]] * SEEDS
    )


def test_logged_propensities_are_those_of_the_action_taken(
    policy: Policy, path: replay.Path, stream: np.ndarray
) -> None:
    """Of the belief before the step, that is: at first, of the prior. Logging alters no path."""
    logged = played(policy, stream[:50], log=True)
    assert path.propensity is None and logged.propensity is not None
    assert (np.asarray(logged.action) == np.asarray(path.action)[:50]).all()
    chance, first = np.asarray(logged.propensity), np.asarray(path.action)[:50, 0]
    assert chance.shape == (50, STEPS) and ((chance > 0) & (chance <= 1)).all()
    expected = np.asarray(policy.propensity(policy.init(SETTING), jnp.int32(0)))
    np.testing.assert_allclose(chance[:, 0], expected[first], rtol=1e-5)
    assert len(np.unique(first)) > 2


def test_a_policy_that_does_not_learn_does_the_same_on_every_seed(stream: np.ndarray) -> None:
    still = played(static.build(alpha=0.25), stream[:10], log=True)
    assert (np.asarray(still.action) == 1).all() and (np.asarray(still.greedy) == 1).all()
    assert (np.asarray(still.propensity) == 1).all()


def test_learning_beats_the_prior(path: replay.Path, stream: np.ndarray) -> None:
    """Where larger α pay more, the greedy action's true mean reward is higher at the end than at the start."""
    means = np.stack([REWARDS[domain == DOMAIN].mean(axis=0) for domain in range(DOMAINS)])
    greedy = np.asarray(path.greedy)[:, :, :DOMAINS]
    value = np.stack([means[domain][greedy[:, :, domain]] for domain in range(DOMAINS)])
    assert value[:, :, -1].mean() > value[:, :, 0].mean() + 0.02


def test_one_program_plays_all_seeds(policy: Policy, path: replay.Path, stream: np.ndarray) -> None:
    """Traced no more often than a scan's body must be, however many seeds and steps; and not again."""
    del TRACED[:]
    played(policy, stream[:3])
    assert 1 <= len(TRACED) <= 3
    count = len(TRACED)
    played(policy, stream[3:6])
    played(policy, stream)
    assert len(TRACED) == count
