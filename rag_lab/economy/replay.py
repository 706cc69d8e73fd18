"""A router played over baked outcomes: frozen on every query at once, or along a stream in which it adapts.

Shapes: Q queries, A actions, T steps.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.economy.outcomes import Outcomes
from rag_lab.economy.router import Asked, Router, State

PURPOSE = 2  # sets these keys apart from those that others draw from the same seed


class Routed(NamedTuple):
    """What was run first and what was shown, in the end, of each query; they differ where a router escalated."""

    first: Int[np.ndarray, " Q"]
    action: Int[np.ndarray, " Q"]

    def values(self, table: Float[np.ndarray, "Q A"]) -> Float[np.ndarray, " Q"]:
        """An entry of each query's row: that of the action shown."""
        return table[np.arange(len(self.action)), self.action]

    def cost_usd(self, outcomes: Outcomes) -> Float[np.ndarray, " Q"]:
        """What each query cost: the action shown, and what was run before it, retrieval once."""
        rows = np.arange(len(self.action))
        before = outcomes.cost_usd[rows, self.first] - outcomes.retrieval_usd
        return self.values(outcomes.cost_usd) + np.where(self.first == self.action, 0.0, before)


def route(router: Router, state: State, outcomes: Outcomes, context: Int[np.ndarray, " Q"], seed: int) -> Routed:
    """Every query by itself, the state unchanged."""
    keys = jax.random.split(_key(seed), len(context))
    asked = Asked(jnp.asarray(context, jnp.int32), jnp.asarray(outcomes.features, jnp.float32))
    confidence = jnp.asarray(outcomes.confidence, jnp.float32)
    return Routed(*map(np.asarray, _route(router, keys, state, asked, confidence)))


def stream(
    router: Router,
    state: State,
    outcomes: Outcomes,
    context: Int[np.ndarray, " Q"],
    order: Int[np.ndarray, " T"],
    seed: int,
) -> tuple[Routed, Float[np.ndarray, " T"], State]:
    """Queries one after another; the router hears of each. What was routed, what it cost, and the last state."""
    keys = jax.random.split(_key(seed), len(order))
    cost = jnp.asarray(outcomes.cost_usd, jnp.float32), jnp.asarray(outcomes.retrieval_usd, jnp.float32)
    end, (first, action, paid) = _stream(
        router, keys, state, jnp.asarray(order), jnp.asarray(context, jnp.int32),
        jnp.asarray(outcomes.features, jnp.float32), jnp.asarray(outcomes.confidence, jnp.float32),
        *cost, jnp.asarray(outcomes.quality, jnp.float32),
    )  # fmt: skip
    return Routed(np.asarray(first), np.asarray(action)), np.asarray(paid), end


def _key(seed: int) -> Array:
    return jax.random.fold_in(jax.random.key(seed), PURPOSE)


@partial(jax.jit, static_argnames="router")
def _route(
    router: Router, keys: Array, state: State, asked: Asked, confidence: Float[Array, "Q A"]
) -> tuple[Int[Array, " Q"], Int[Array, " Q"]]:
    def one(key: Array, asked: Asked, confidence: Float[Array, " A"]) -> tuple[Int[Array, ""], Int[Array, ""]]:
        first = router.choose(key, state, asked)
        return first, router.settle(state, asked, first, confidence[first])

    return jax.vmap(one)(keys, asked, confidence)


@partial(jax.jit, static_argnames="router")
def _stream(
    router: Router,
    keys: Array,
    state: State,
    order: Int[Array, " T"],
    context: Int[Array, " Q"],
    features: Float[Array, "Q F"],
    confidence: Float[Array, "Q A"],
    cost: Float[Array, "Q A"],
    retrieval: Float[Array, " Q"],
    quality: Float[Array, "Q A"],
) -> tuple[State, tuple[Int[Array, " T"], Int[Array, " T"], Float[Array, " T"]]]:
    def step(state: State, at: tuple[Array, Array]) -> tuple[State, tuple[Array, Array, Array]]:
        key, query = at
        asked = Asked(context[query], features[query])
        first = router.choose(key, state, asked)
        action = router.settle(state, asked, first, confidence[query, first])
        before = jnp.where(first == action, 0, cost[query, first] - retrieval[query])
        paid = cost[query, action] + before
        return router.learn(state, asked, action, paid, quality[query, action]), (first, action, paid)

    return jax.lax.scan(step, state, (keys, order))
