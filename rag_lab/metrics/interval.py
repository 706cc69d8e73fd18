"""A value with the interval that holds it with 95% confidence: by bootstrap (Efron 1979), or, over many seeds, by the
normal approximation.

Shapes: N independent measurements, R resamples, S seeds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

TAILS = (0.025, 0.975)
NORMAL_95 = 1.96  # standard errors: seeds are independent, and many


class Interval(NamedTuple):
    """low ≤ value ≤ high."""

    value: float
    low: float
    high: float


def around(value: float, draws: Float[np.ndarray, " R"]) -> Interval:
    """The percentile interval of resamples; it holds the value even if few data put all of them to one side."""
    low, high = np.quantile(draws, TAILS)
    return Interval(float(value), min(float(low), float(value)), max(float(high), float(value)))


def resampled(count: int, *, seed: int, resamples: int) -> Int[np.ndarray, "R N"]:
    """Which of `count` measurements each resample consists of."""
    return np.random.default_rng(seed).integers(0, count, (resamples, count))


def median(values: Float[np.ndarray, " N"], drawn: Int[np.ndarray, "R N"]) -> Interval:
    """The median of the measurements."""
    return around(float(np.median(values)), np.median(values[drawn], axis=1))


def mean(values: Float[np.ndarray, " N"], drawn: Int[np.ndarray, "R N"]) -> Interval:
    """Their mean."""
    return around(float(np.mean(values)), np.mean(values[drawn], axis=1))


def over_seeds(values: Float[np.ndarray, "S ..."]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over seeds, and the ends of its interval, of whatever a seed has; at least two seeds."""
    mean = values.mean(axis=0)
    half = NORMAL_95 * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return mean, mean - half, mean + half


def of_seeds(values: Float[np.ndarray, " S"]) -> Interval:
    """The same of one number a seed."""
    return Interval(*(float(end) for end in over_seeds(values)))


def metrics(name: str, interval: Interval) -> dict[str, float]:
    """The contract's three metrics."""
    return {name: interval.value, f"{name}_ci_low": interval.low, f"{name}_ci_high": interval.high}
