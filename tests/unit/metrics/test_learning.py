from __future__ import annotations

import numpy as np
import pytest

from rag_lab import replay
from rag_lab.metrics.learning import (
    SHARE_OF_BEST,
    by_domain,
    cumulative_regret,
    cumulative_regret_of,
    full_information,
    mean_rewards,
    share_converged,
    steps_by_value,
    steps_to_converge,
)

# Two domains, three actions; the best action is 2 in the first and 0 in the second.
MEANS = np.array([[0.5, 0.8, 0.9], [0.7, 0.695, 0.1]])
CONTEXTS = 3
SEEN = np.zeros((2, CONTEXTS, 3))
SEEN[0, 0], SEEN[1, 1] = MEANS  # every query is seen in its own domain's context


def greedy(first: list[int], second: list[int]) -> np.ndarray:
    """[1, rounds, contexts] One seed's greedy actions after each round, in which either domain has its turn."""
    out = np.zeros((1, len(first), CONTEXTS), np.int8)
    out[0, :, 0], out[0, :, 1] = first, second
    return out


def test_what_happened_is_split_by_domain() -> None:
    assert by_domain(np.array([[10, 20, 11, 21, 12, 22]]), 2).tolist() == [[[10, 11, 12], [20, 21, 22]]]


def test_mean_rewards_by_hand() -> None:
    """Three queries of one domain, one of them taken for another; sums over contexts are plain means."""
    rewards = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.5, 0.25]])
    found = mean_rewards(rewards, np.array([0, 0, 0, 1]), np.array([0, 0, 2, 1]), 3)
    np.testing.assert_allclose(found[0], [[1 / 3, 1 / 3], [0, 0], [1 / 3, 1 / 3]])
    np.testing.assert_allclose(found[1], [[0, 0], [0.5, 0.25], [0, 0]])
    np.testing.assert_allclose(found.sum(axis=1), [[2 / 3, 2 / 3], [0.5, 0.25]])


def test_regret_by_hand() -> None:
    """Actions 0, 1, 2 forgo 0.4, 0.1, 0 in the first domain; 2, 1, 0 forgo 0.6, 0.005, 0 in the second."""
    actions = np.array([[0, 2, 1, 1, 2, 0]])
    np.testing.assert_allclose(cumulative_regret(actions, MEANS).sum(axis=1), [[1.0, 1.105, 1.105]])


def test_regret_never_falls_and_the_best_has_none() -> None:
    random = np.random.default_rng(0)
    regret = cumulative_regret(random.integers(0, 3, (20, 40)), MEANS)
    assert regret.shape == (20, 2, 20) and (np.diff(regret, axis=2) >= 0).all()
    assert not cumulative_regret(np.tile([2, 0], (1, 20)), MEANS).any()


@pytest.mark.parametrize(
    ("actions", "steps"),
    [
        ([2, 2, 2, 2], 1),  # near from the first query on
        ([0, 2, 2, 2], 2),
        ([2, 0, 2, 2], 3),  # it strayed, and came back after the third
        ([0, 0, 0, 2], 4),
        ([2, 2, 2, 1], 5),  # away at the end: censored, one more than there are
        ([0, 1, 0, 1], 5),
    ],
)
def test_convergence_by_hand(actions: list[int], steps: int) -> None:
    assert steps_to_converge(greedy(actions, [0] * 4), SEEN).tolist() == [[steps, 1]]


def test_near_the_best_is_good_enough() -> None:
    """0.695 is at least 99% of 0.7, as 0.8 is not of 0.9."""
    assert SHARE_OF_BEST == 0.99
    assert steps_to_converge(greedy([1] * 3, [1] * 3), SEEN).tolist() == [[4, 1]]


def test_exactly_99_percent_is_near() -> None:
    means = np.zeros((1, 2, 2))
    means[0, 0] = [0.99, 1.0]
    actions = np.zeros((1, 3, 2), np.int8)
    assert steps_to_converge(actions, means).tolist() == [[1]]


def test_batches_of_several_queries_count_as_many() -> None:
    """Away after the first of three batches of five queries: near from the sixth query on."""
    assert steps_to_converge(greedy([0, 2, 2], [0] * 3), SEEN, 5).tolist() == [[6, 1]]


def test_convergence_by_what_greedy_choices_are_worth() -> None:
    value = np.array([[[0.8, 0.7], [0.9, 0.5], [0.895, 0.7]]])
    assert steps_by_value(value, np.array([0.9, 0.7]), 20).tolist() == [[21, 41]]


def test_regret_of_what_was_earned_by_hand() -> None:
    """0.9 and 0.7 could be had on average; what was earned may be more."""
    found = cumulative_regret_of(np.array([[1.0, 0.5, 0.4, 0.7]]), MEANS)
    np.testing.assert_allclose(found, [[[-0.1, 0.4], [0.2, 0.2]]], atol=1e-12)


def test_a_domain_mistaken_for_another_needs_both_contexts() -> None:
    """Half of the first domain's queries are taken for the second's: near only when both contexts serve it."""
    seen = np.zeros((2, CONTEXTS, 3))
    seen[0, 0], seen[0, 1], seen[1, 1] = MEANS[0] / 2, MEANS[0] / 2, MEANS[1]
    assert steps_to_converge(greedy([2, 2, 2], [0, 0, 0]), seen).tolist() == [[4, 1]]
    assert steps_to_converge(greedy([2, 2, 2], [0, 2, 2]), seen).tolist() == [[2, 4]]


def test_the_share_of_seeds_by_step() -> None:
    steps = np.array([[1, 5], [3, 5], [3, 2], [9, 1]])
    np.testing.assert_allclose(share_converged(steps, np.array([1, 3, 8])), [[0.25, 0.75, 0.75], [0.25, 0.5, 1]])


def test_full_information_by_hand() -> None:
    """After each query, the action with the best mean over all queries so far; ties to the first."""
    rewards = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.0, 0.0, 1.0]])
    stream = np.array([[0, 3, 1, 3, 2, 3]])
    found = full_information(rewards, stream, 2)
    assert found.shape == (1, 3, CONTEXTS)
    assert found[0, :, 0].tolist() == [1, 0, 0]  # (0,1,0), (1,1,0)/2, (2,1,.5)/3
    assert found[0, :, 1].tolist() == [2, 2, 2]


def test_full_information_agrees_with_a_plain_loop_and_converges() -> None:
    random = np.random.default_rng(0)
    domain = np.repeat([0, 1], 50)
    rewards = (random.random((100, 3)) < MEANS[domain]).astype(float)
    stream = replay.streams(0, 20, domain, 30)
    found = full_information(rewards, stream, 2)
    for seed in (0, 7):
        for one in range(2):
            own = stream[seed, one::2]
            for step in (0, 3, 29):
                means = rewards[own[: step + 1]].mean(axis=0)
                assert found[seed, step, one] == means.argmax()
    steps = steps_to_converge(found, mean_rewards(rewards, domain, domain, CONTEXTS))
    assert steps.shape == (20, 2) and (steps <= 31).all() and (steps < 31).mean() > 0.5
