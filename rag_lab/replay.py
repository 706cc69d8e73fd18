"""A policy played over baked queries: one `lax.scan` along the stream, `vmap` over seeds.

The reward of an action on a query is an entry of the baked array, so a thousand bandits learn in a second.
Each seed has its own stream of queries and its own randomness, both derived from the run's seed and the seed's
number alone: more seeds leave the first ones as they were.

Shapes: S seeds, T steps, Q queries, A actions, D domains, C contexts (D + 1).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.l4_feedback.policy import Policy, State

PURPOSE = 1  # sets these keys apart from those that resampling draws from the same seed


class Path(NamedTuple):
    """What happened on each seed's way, and where it ended.

    action: what was done; greedy: for every context what would have been done without exploring, after the
    step; propensity: of the action taken, or None where decisions are not logged; state: at the end.
    """

    action: Int[Array, "S T"]
    greedy: Int[Array, "S T C"]
    propensity: Float[Array, "S T"] | None
    state: State


def streams(seed: int, seeds: int, domain: Int[np.ndarray, " Q"], per_domain: int) -> Int[np.ndarray, "S T"]:
    """Each seed's stream of query numbers: domains take turns, queries are drawn with replacement.

    domain: each query's domain index; T = per_domain × number of domains. Every domain must have a query.
    """
    members = [np.flatnonzero(domain == one) for one in range(int(domain.max()) + 1)]
    out = np.empty((seeds, per_domain, len(members)), np.int32)
    for number in range(seeds):
        random = np.random.default_rng([seed, number])
        for one, queries in enumerate(members):
            out[number, :, one] = random.choice(queries, per_domain)
    return out.reshape(seeds, -1)


@partial(jax.jit, static_argnames=("policy", "log"))
def _play(
    policy: Policy,
    key: Array,
    state: State,
    stream: Int[Array, "S T"],
    rewards: Float[Array, "Q A"],
    context: Int[Array, " Q"],
    contexts: Int[Array, " C"],
    log: bool,
) -> Path:
    def one(number: Int[Array, ""], stream: Int[Array, " T"]) -> tuple[State, tuple[Array, ...]]:
        keys = jax.random.split(jax.random.fold_in(key, number), stream.shape[0])

        def step(state: State, at: tuple[Array, Array]) -> tuple[State, tuple[Array, ...]]:
            key, query = at
            where = context[query]
            action = policy.act(key, state, where)
            chance = policy.propensity(state, where)[action] if log else jnp.float32(jnp.nan)
            state = policy.update(state, where, action, rewards[query, action])
            greedy = jax.vmap(policy.greedy, in_axes=(None, 0))(state, contexts)
            return state, (action.astype(jnp.int8), greedy.astype(jnp.int8), chance)

        return jax.lax.scan(step, state, (keys, stream))

    end, (action, greedy, chance) = jax.vmap(one)(jnp.arange(stream.shape[0]), stream)
    return Path(action, greedy, chance if log else None, end)


def play(
    policy: Policy,
    state: State,
    rewards: Float[np.ndarray, "Q A"],
    stream: Int[np.ndarray, "S T"],
    context: Int[np.ndarray, " Q"],
    *,
    seed: int,
    contexts: int,
    log: bool = False,
) -> Path:
    """Play a policy from `state` along each seed's stream.

    rewards: of every action on every query; context: each query's context index; contexts: how many there are;
    log: also compute the propensity of every action taken, which costs far more than acting. At most 127 actions.
    """
    key = jax.random.fold_in(jax.random.key(seed), PURPOSE)
    return _play(policy, key, state, stream, rewards, context, jnp.arange(contexts), log)
