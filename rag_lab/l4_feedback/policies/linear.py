"""What the policies share that believe in a linear reward: sampling, updating and counting propensities.

A place has its own belief about the coefficients; a query and an action have features φ [P], made by the policy.
Samples of different actions hang together, so a propensity is not an integral in one dimension: it is counted over a
fixed set of DRAWS samples, and never 0, for it divides.

Shapes: C places, A actions, P coefficients.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.kernels import linear_thompson
from rag_lab.kernels.linear_thompson import Coefficients
from rag_lab.l4_feedback.policy import Belief

DRAWS = 2048  # a propensity of 1/2 is known to ±0.01
SEED = 20  # of the fixed draws


def start(places: int, mean: Float[np.ndarray, " P"], root: Float[np.ndarray, "P P"], reward_sd: float) -> Coefficients:
    """The same belief in every place."""
    shape = (places, len(mean))
    return Coefficients(
        jnp.broadcast_to(jnp.asarray(mean, jnp.float32), shape),
        jnp.broadcast_to(jnp.asarray(root, jnp.float32), (*shape, len(mean))),
        jnp.float32(reward_sd),
    )


def of(state: Coefficients, place: Int[Array, ""]) -> Coefficients:
    """One place's belief."""
    return Coefficients(state.mean[place], state.root[place], state.reward_sd)


def observe(
    state: Coefficients,
    place: Int[Array, ""],
    phi: Float[Array, " P"],
    reward: Float[Array, ""],
    weight: Float[Array, ""],
) -> Coefficients:
    """The state after a reward at φ in a place."""
    new = linear_thompson.observe(of(state, place), phi, reward, weight)
    return state._replace(
        mean=jax.lax.dynamic_update_index_in_dim(state.mean, new.mean, place, 0),
        root=jax.lax.dynamic_update_index_in_dim(state.root, new.root, place, 0),
    )


def belief(own: Coefficients, phi: Float[Array, "A P"]) -> Belief:
    """What is believed of every action."""
    return Belief(phi @ own.mean, jax.vmap(linear_thompson.deviation, in_axes=(0, None))(phi, own))


def propensity(own: Coefficients, phi: Float[Array, "A P"]) -> Float[Array, " A"]:
    """How often each action has the largest sample, of DRAWS."""
    normals = jax.random.normal(jax.random.key(SEED), (DRAWS, len(own.mean)))
    values = (own.mean + normals @ own.root.T) @ phi.T
    counts = jnp.zeros(len(phi)).at[values.argmax(axis=1)].add(1)
    floored = jnp.maximum(counts, 0.5)
    return floored / floored.sum()


class Shape(NamedTuple):
    """Prior standard deviations of the coefficients. level: of the reward itself; action: of what an action
    changes; query: of what a query's features change; both: of what they change together."""

    level: float
    action: float
    query: float
    both: float


def prior(shape: Shape, basis: int, features: int) -> Float[np.ndarray, " P"]:
    """Deviations of the coefficients, P = (1 + basis) · (1 + features), as `cross` orders them."""
    rows = np.array([shape.level, *[shape.action] * basis])
    rest = np.array([shape.query, *[shape.both] * basis])
    return np.column_stack([rows, *[rest] * features]).ravel()


def cross(basis: Float[Array, " K"], features: Float[Array, " F"]) -> Float[Array, " P"]:
    """φ of an action and a query: every product of (1, basis) and (1, features)."""
    one = jnp.ones(1)
    return jnp.outer(jnp.concatenate([one, basis]), jnp.concatenate([one, features])).ravel()
