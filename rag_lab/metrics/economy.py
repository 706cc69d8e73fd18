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

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.kernels import hypervolume as kernel
from rag_lab.metrics.significance import LEVEL, Estimate

RESAMPLES_AT_ONCE = 256  # of the volume's P × P slabs


class Interval(NamedTuple):
    """A value and its 95% interval; NaN in a resample where there is no such value spoils the interval, as it should."""

    value: float
    low: float
    high: float


def interval(value: Float[np.ndarray, ""] | float, draws: Float[np.ndarray, " R"]) -> Interval:
    """Percentile interval of the draws, widened to hold the value itself."""
    low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def means(estimates: Sequence[Estimate]) -> tuple[Float[np.ndarray, " P"], Float[np.ndarray, "R P"]]:
    """The means over domains of several variants, and their resamples."""
    return np.array([one.value[-1] for one in estimates]), np.stack([one.draws[:, -1] for one in estimates], axis=1)


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


def shares(
    cost: Float[np.ndarray, "*R P"],
    quality: Float[np.ndarray, "*R P"],
    diversity: Float[np.ndarray, "*R P"],
    dearest: float,
) -> Float[np.ndarray, "*R P 3"]:
    """Objectives as shares of the box: 0 is the ideal, 1 the reference point. dearest: the cost at the reference."""
    return np.stack([cost / dearest, 1 - quality, 1 - diversity], axis=-1)


def hypervolume(objectives: Float[np.ndarray, "*R P M"]) -> Float[np.ndarray, "*R"]:
    """The share of the box that each set of points dominates, from their `shares`."""
    sets = objectives.reshape(-1, *objectives.shape[-2:])
    with jax.enable_x64(True):
        reference, real = jnp.ones(sets.shape[-1]), jnp.ones(sets.shape[1], bool)
        found = jax.lax.map(
            lambda points: kernel.hypervolume(points, reference, real), jnp.asarray(sets), batch_size=RESAMPLES_AT_ONCE
        )
        return np.asarray(found).reshape(objectives.shape[:-2])


def wasted(member: Bool[np.ndarray, "Q A"], action: Int[np.ndarray, " Q"]) -> Float[np.ndarray, " Q"]:
    """1 for every query whose action is off the front of its own query, else 0."""
    return (~member[np.arange(len(action)), action]).astype(np.float64)
