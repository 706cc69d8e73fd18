"""One action out of many under a preference: the non-dominated one nearest to the ideal point.

The ideal point has the best value of every objective on the front, the nadir the worst; distances are shares of
that range, so units and scales do not matter. Two measures: augmented weighted Chebyshev, max wᵢdᵢ + ρ Σ dᵢ
(Steuer and Choo 1983, Math. Programming 26), which can reach every point of a front, also where it is not convex;
and weighted Euclidean, √Σ (wᵢdᵢ)² (compromise programming: Zeleny 1973).

Limits are kept wherever an action keeps them all; where none does, those that exceed them least compete. A limit
is on an objective, so whatever dominates a permitted action is permitted: the choice is always on the front.

Objectives are minimised (see `pareto`). Shapes: A actions, M objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.pareto import nondominated

Measure = Callable[[Float[Array, "A M"], Float[Array, " M"]], Float[Array, " A"]]


class Front(NamedTuple):
    """The non-dominated among the permitted actions, and the range that they span."""

    member: Bool[Array, " A"]
    ideal: Float[Array, " M"]
    nadir: Float[Array, " M"]


def chebyshev(
    distances: Float[Array, "A M"], weights: Float[Array, " M"], *, augmentation: float
) -> Float[Array, " A"]:
    """The largest weighted distance of each action, plus `augmentation` (ρ) times the sum of its distances."""
    return (weights * distances).max(axis=1) + augmentation * distances.sum(axis=1)


def euclidean(distances: Float[Array, "A M"], weights: Float[Array, " M"]) -> Float[Array, " A"]:
    """The length of each action's weighted distances."""
    return jnp.sqrt(((weights * distances) ** 2).sum(axis=1))


def front(objectives: Float[Array, "A M"], permitted: Bool[Array, " A"]) -> Front:
    """The front; at least one action must be permitted."""
    member = nondominated(objectives, permitted)
    kept = member[:, None]
    return Front(
        member,
        jnp.where(kept, objectives, jnp.inf).min(axis=0),
        jnp.where(kept, objectives, -jnp.inf).max(axis=0),
    )


def nearest(
    objectives: Float[Array, "A M"],
    permitted: Bool[Array, " A"],
    weights: Float[Array, " M"],
    limits: Float[Array, " M"],
    measure: Measure,
) -> Int[Array, ""]:
    """The index of the chosen action; of equally near ones the first. At least one must be permitted.

    limits: what each objective should not exceed, infinite where it may. An objective in which the front has no
    range does not count.
    """
    member, ideal, nadir = front(objectives, permitted)
    span = jnp.where(nadir > ideal, nadir - ideal, 1)
    excess = jnp.maximum((objectives - limits) / span, 0).max(axis=1)
    least = jnp.where(member, excess, jnp.inf).min()
    distance = measure((objectives - ideal) / span, weights)
    return jnp.argmin(jnp.where(member & (excess <= least), distance, jnp.inf))
