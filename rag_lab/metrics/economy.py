"""What routing is worth: the hull of cost and quality, hypervolume, waste, cost at equal quality and its converse.

A mix of two variants, one for a share of the queries and the other for the rest, has every point on the line between
theirs; so the hull is what can be had without looking at queries, and a variant is worth what it adds to it.

Hypervolume is a share: of the box between what nobody can do better (no cost, quality 1, diversity 1) and the
reference point (the cost of the dearest single action, quality 0, diversity 0), how much is dominated. It is summed
in float64.

Shapes: P points (variants), R resamples, Q queries, A actions, M = 3 objectives. The functions of points take any
leading axes, such as resamples.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels import hypervolume as kernel
from rag_lab.metrics.significance import Estimate

SETS_AT_ONCE = 256  # whose P × P slabs are in memory together


def mean(estimate: Estimate) -> Float[np.ndarray, " R+1"]:
    """The mean over domains, and its resamples after it."""
    return np.array([estimate.value[-1], *estimate.draws[:, -1]])


def cost_at_quality(
    cost: Float[np.ndarray, "*R P"], quality: Float[np.ndarray, "*R P"], wanted: Float[np.ndarray, "*R"]
) -> Float[np.ndarray, "*R"]:
    """The least cost of a variant, or of a mix of two, that has at least the wanted quality; NaN where none has."""
    above, below = quality[..., :, None], quality[..., None, :]
    aim = np.asarray(wanted)[..., None, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((aim - below) / (above - below), 0, 1)
        mixed = cost[..., None, :] + share * (cost[..., :, None] - cost[..., None, :])
    mixed = np.where((above >= aim) & (below < aim), mixed, np.inf)
    alone = np.where(quality >= aim[..., 0], cost, np.inf)
    least = np.minimum(mixed.min(axis=(-2, -1)), alone.min(axis=-1))
    return np.where(np.isfinite(least), least, np.nan)


def quality_at_cost(
    cost: Float[np.ndarray, "*R P"], quality: Float[np.ndarray, "*R P"], allowed: Float[np.ndarray, "*R"]
) -> Float[np.ndarray, "*R"]:
    """The highest quality of a variant, or of a mix of two, that costs at most what is allowed; NaN where none does."""
    return -cost_at_quality(-quality, -cost, -np.asarray(allowed))


def hull(cost: Float[np.ndarray, " P"], quality: Float[np.ndarray, " P"]) -> Int[np.ndarray, " H"]:
    """The variants that no other and no mix of others beats, the cheapest first; of equal ones the first."""
    kept: list[int] = []
    for point in np.lexsort((-quality, cost)).tolist():
        if kept and quality[point] <= quality[kept[-1]]:
            continue
        while len(kept) > 1 and _beneath(cost, quality, kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return np.array(kept)


def _beneath(
    cost: Float[np.ndarray, " P"], quality: Float[np.ndarray, " P"], first: int, middle: int, last: int
) -> bool:
    """Whether the middle point lies on or below the line from the first to the last."""
    risen = (quality[middle] - quality[first]) * (cost[last] - cost[first])
    return bool(risen <= (quality[last] - quality[first]) * (cost[middle] - cost[first]))


def shares(measures: Float[np.ndarray, "M *R P"], dearest: float) -> Float[np.ndarray, "*R P M"]:
    """Objectives as shares of the box: 0 is the ideal, 1 the reference point.

    measures: cost, quality, diversity; dearest: the cost at the reference point.
    """
    cost, quality, diversity = measures
    return np.stack([cost / dearest, 1 - quality, 1 - diversity], axis=-1)


def hypervolume(objectives: Float[np.ndarray, "*R P M"]) -> Float[np.ndarray, "*R"]:
    """The share of the box that each set of points dominates, from their `shares`."""
    sets = objectives.reshape(-1, *objectives.shape[-2:])
    with jax.enable_x64(True):
        return np.asarray(_volumes(jnp.asarray(sets))).reshape(objectives.shape[:-2])


@jax.jit
def _volumes(sets: Float[Array, "N P M"]) -> Float[Array, " N"]:
    reference, real = jnp.ones(sets.shape[2]), jnp.ones(sets.shape[1], bool)
    return jax.lax.map(lambda points: kernel.hypervolume(points, reference, real), sets, batch_size=SETS_AT_ONCE)


def wasted(member: Bool[np.ndarray, "Q A"], action: Int[np.ndarray, " Q"]) -> Float[np.ndarray, " Q"]:
    """1 for every query whose action is off the front of its own query, else 0."""
    return (~member[np.arange(len(action)), action]).astype(np.float64)
