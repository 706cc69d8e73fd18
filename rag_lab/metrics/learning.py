"""How a policy learns: regret, and the step from which it stays near the best action.

All rewards here are true mean rewards on the train queries that the streams are drawn from, so a lucky draw
counts for nothing.

Shapes: S seeds, T steps, D domains, C contexts, A actions, Q queries, L = T/D steps of one domain, N batches.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

SHARE_OF_BEST = 0.99  # a policy is near the best action where its true mean reward is at least this share of it


def mean_rewards(
    rewards: Float[np.ndarray, "Q A"],
    domain: Int[np.ndarray, " Q"],
    context: Int[np.ndarray, " Q"],
    contexts: int,
) -> Float[np.ndarray, "D C A"]:
    """What each action contributes to a domain's mean reward through the queries seen in each context.

    Summed over contexts with one action everywhere, this is that action's mean reward in the domain.
    """
    domains = int(domain.max()) + 1
    out = np.zeros((domains, contexts, rewards.shape[1]))
    np.add.at(out, (domain, context), rewards)
    return out / np.bincount(domain, minlength=domains)[:, None, None]


def by_domain(steps: Int[np.ndarray, "S T"], domains: int) -> Int[np.ndarray, "S D L"]:
    """Split what happened along a stream in which domains take turns."""
    return steps.reshape(len(steps), -1, domains).transpose(0, 2, 1)


def cumulative_regret(actions: Int[np.ndarray, "S T"], means: Float[np.ndarray, "D A"]) -> Float[np.ndarray, "S D L"]:
    """Reward forgone against each domain's best action, cumulated over the domain's steps."""
    gaps = means.max(axis=1, keepdims=True) - means
    taken = by_domain(actions, len(means))
    each = [gaps[domain][taken[:, domain]] for domain in range(len(means))]
    return np.cumsum(np.stack(each, axis=1), axis=2)


def cumulative_regret_of(
    rewards: Float[np.ndarray, "S T"], means: Float[np.ndarray, "D A"]
) -> Float[np.ndarray, "S D L"]:
    """The same of rewards that were earned: for a policy whose actions hang together with the query."""
    best = means.max(axis=1)[None, :, None]
    return np.cumsum(best - by_domain(rewards, len(means)), axis=2)


def steps_to_converge(
    greedy: Int[np.ndarray, "S N C"], means: Float[np.ndarray, "D C A"], every: int = 1
) -> Int[np.ndarray, "S D"]:
    """The number of a domain's queries after which greedy action stays near its best, to the end.

    greedy: after each of N batches of `every` queries a domain. Past the end where it is not near at the end: such a
    seed is censored.
    """
    domains, contexts = means.shape[:2]
    out = np.empty((len(greedy), domains), np.int64)
    for one in range(domains):
        value = sum(means[one, context][greedy[:, :, context]] for context in range(contexts))
        out[:, one] = _stays(np.asarray(value), means[one].sum(axis=0).max(), every)
    return out


def steps_by_value(
    value: Float[np.ndarray, "S K D"], best: Float[np.ndarray, " D"], every: int
) -> Int[np.ndarray, "S D"]:
    """The same from the worth of a policy's greedy choices, seen after each of K parts of `every` queries a domain."""
    return np.stack([_stays(value[:, :, one], best[one], every) for one in range(len(best))], axis=1)


def _stays(value: Float[np.ndarray, "S N"], best: float, every: int) -> Int[np.ndarray, " S"]:
    """The first of the queries from which the value stays near the best; past the end where it does not."""
    away = value < SHARE_OF_BEST * best - 1e-9
    last_away = value.shape[1] - np.argmax(away[:, ::-1], axis=1)  # 1-based batch of the last time away
    return np.where(away.any(axis=1), last_away, 0) * every + 1


def full_information(
    rewards: Float[np.ndarray, "Q A"], stream: Int[np.ndarray, "S T"], domains: int
) -> Int[np.ndarray, "S L C"]:
    """The greedy action of one who sees every action's reward on each query of the stream, by true domain.

    Shaped like a replay's, C = D + 1; the unknown domain has action 0, and is not looked at when the context of a
    query is its domain.
    """
    own = by_domain(stream, domains)
    out = np.zeros((len(stream), own.shape[2], domains + 1), np.int8)
    for seed in range(len(stream)):
        for one in range(domains):
            sums = np.cumsum(rewards[own[seed, one]], axis=0, dtype=np.float64)
            out[seed, :, one] = sums.argmax(axis=1)
    return out


def share_converged(steps: Int[np.ndarray, "S D"], by: Int[np.ndarray, " L"]) -> Float[np.ndarray, "D L"]:
    """The share of seeds that had converged by each step, in each domain."""
    return (steps[:, :, None] <= by).mean(axis=0)
