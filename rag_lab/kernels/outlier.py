"""Outliers of one group of whole numbers, from how often each number occurs.

The counts hold all that mean, standard deviation, median and median absolute deviation need, so nothing is
sorted: a million items cost as much as a hundred. Plain z: 3-sigma with the sample standard deviation, which
cannot exceed (n − 1)/√n, so it needs 11 items to pass 3 (Shiffler 1988, The American Statistician 42(1)).
Robust z: 0.6745 · |x − median| / MAD (Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers); where
more than half of the numbers are equal the MAD is 0, and the mean absolute deviation, times 1.253314 =
√(π/2), stands in.

Shapes: V values -V//2 … V//2, so V is odd. Counts add up to at most 2²² items, V to at most 257: sums fit
int32.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

CONSISTENT_MAD = 0.6745  # of a normal distribution, MAD / standard deviation
CONSISTENT_MEAN = 1.253314  # of a normal distribution, standard deviation / mean absolute deviation


class Spread(NamedTuple):
    """Where a group's numbers lie. `pivot` is its mean rounded to a whole number and `offset` the mean less
    that: kept apart, so that float32 holds the mean of millions to seven digits of the distance from it.
    """

    pivot: Int[Array, ""]
    offset: Float[Array, ""]
    deviation: Float[Array, ""]
    median: Float[Array, ""]
    mad: Float[Array, ""]
    mean_ad: Float[Array, ""]


def spread(counts: Int[Array, " V"]) -> Spread:
    """The statistics of a group; all 0 for an empty one, deviation 0 for a single item."""
    value = jnp.arange(counts.shape[0]) - counts.shape[0] // 2
    n = counts.sum()
    some = jnp.maximum(n, 1)
    total = (counts * value).sum()
    pivot = (total + some // 2) // some
    offset = (total - n * pivot) / some
    squares = (counts * (value - pivot - offset) ** 2).sum()
    doubled = _doubled_median(counts, n, value)
    # Twice the distance from the median is whole; a table of its counts gives the MAD as a median of its own.
    distance = jnp.abs(2 * value - doubled)
    by_distance = jnp.zeros(2 * counts.shape[0], counts.dtype).at[distance].add(counts)
    return Spread(
        pivot=pivot,
        offset=offset,
        deviation=jnp.sqrt(squares / jnp.maximum(n - 1, 1)),
        median=doubled / 2,
        mad=_doubled_median(by_distance, n, jnp.arange(by_distance.shape[0])) / 4,
        mean_ad=(counts * distance).sum() / (2 * some),
    )


def sigma_z(value: Int[Array, ""], spread: Spread) -> Float[Array, ""]:
    """Distance from the mean in standard deviations; 0 where all are equal."""
    distance = jnp.abs(value - spread.pivot - spread.offset)
    return jnp.where(spread.deviation > 0, distance / _positive(spread.deviation), 0)


def robust_z(value: Int[Array, ""], spread: Spread) -> Float[Array, ""]:
    """Distance from the median in robust standard deviations; 0 where all are equal."""
    distance = jnp.abs(value - spread.median)
    by_mean = jnp.where(spread.mean_ad > 0, distance / (CONSISTENT_MEAN * _positive(spread.mean_ad)), 0)
    return jnp.where(spread.mad > 0, CONSISTENT_MAD * distance / _positive(spread.mad), by_mean)


def _doubled_median(counts: Int[Array, " V"], n: Int[Array, ""], value: Int[Array, " V"]) -> Int[Array, ""]:
    """Twice the median: the sum of the two middle values. `value` ascends."""
    upto = jnp.cumsum(counts)
    places = jnp.stack([(n - 1) // 2, n // 2])
    at = jnp.minimum((upto <= places[:, None]).sum(axis=1), counts.shape[0] - 1)
    return jnp.where(n > 0, value[at].sum(), 0)


def _positive(x: Float[Array, ""]) -> Float[Array, ""]:
    """The number where it is positive, else 1: a divisor for a quotient that will not be used."""
    return jnp.where(x > 0, x, jnp.ones_like(x))


def either(
    value: Int[Array, ""], spread: Spread, sigma_limit: float, robust_limit: float
) -> tuple[Bool[Array, ""], Bool[Array, ""]]:
    """Whether a value is an outlier by the plain and by the robust z."""
    return sigma_z(value, spread) > sigma_limit, robust_z(value, spread) > robust_limit
