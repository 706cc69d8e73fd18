"""How a policy learns: regret, and the step from which it stays near the best action.

All rewards here are true mean rewards on the train queries that the streams are drawn from, so a lucky draw
counts for nothing.

Shapes: S seeds, T steps, D domains, C contexts, A actions, Q queries, L = T/D steps of one domain.
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


def cumulative_regret(
    actions: Int[np.ndarray, "S T"], means: Float[np.ndarray, "D A"]
) -> Float[np.ndarray, "S D L"]:
    """Reward forgone against each domain's best action, cumulated over the domain's steps."""
    gaps = means.max(axis=1, keepdims=True) - means
    taken = by_domain(actions, len(means))
    each = [gaps[domain][taken[:, domain]] for domain in range(len(means))]
    return np.cumsum(np.stack(each, axis=1), axis=2)


def steps_to_converge(
    greedy: Int[np.ndarray, "S T C"], means: Float[np.ndarray, "D C A"]
) -> Int[np.ndarray, "S D"]:
    """The number of a domain's queries after which greedy action stays near its best, to the end.

    L + 1 where it is not near at the end: such a seed is censored.
    """
    domains, contexts = means.shape[:2]
    own = greedy.reshape(len(greedy), -1, domains, contexts)
    out = np.empty((len(greedy), domains), np.int64)
    for one in range(domains):
        value = sum(means[one, context][own[:, :, one, context]] for context in range(contexts))
        near = value >= SHARE_OF_BEST * means[one].sum(axis=0).max() - 1e-9
        away = ~near
        last_away = near.shape[1] - np.argmax(away[:, ::-1], axis=1)  # 1-based step of the last time away
        last_away = np.where(away.any(axis=1), last_away, 0)
        out[:, one] = last_away + 1
    return out


def full_information(
    rewards: Float[np.ndarray, "Q A"], stream: Int[np.ndarray, "S T"], domains: int, contexts: int
) -> Int[np.ndarray, "S T C"]:
    """The greedy action of one who sees every action's reward on each query of the stream, by true domain.

    Shaped like a replay's: contexts other than the step's own domain repeat its action, and are not looked at
    when the context of a query is its domain.
    """
    own = by_domain(stream, domains)
    steps = np.arange(1, own.shape[2] + 1)[:, None]
    out = np.zeros((len(stream), own.shape[2], domains, contexts), np.int8)
    for seed in range(len(stream)):
        for one in range(domains):
            means = np.cumsum(rewards[own[seed, one]], axis=0, dtype=np.float64) / steps
            out[seed, :, one, :] = means.argmax(axis=1)[:, None]
    return out.reshape(len(stream), -1, contexts)


def share_converged(steps: Int[np.ndarray, "S D"], by: Int[np.ndarray, " L"]) -> Float[np.ndarray, "D L"]:
    """The share of seeds that had converged by each step, in each domain."""
    return (steps[:, :, None] <= by).mean(axis=0)
