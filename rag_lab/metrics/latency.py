"""Percentiles of latencies, and by how much one program's differ from another's, with 95% intervals.

Neighbouring calls resemble each other (a machine has bursts of other work), so whole runs of calls are drawn: the
circular block bootstrap (Politis and Romano 1992). Where two programs took turns, both are drawn at the same
places, so a slow moment is slow for both.

Shapes: N calls in the order in which they were made, R resamples, P percentiles. Units: milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.metrics.interval import Interval, around

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
BLOCK = 20  # calls: a tenth of a second or more of either program's work
LEAST_BLOCKS = 10  # in a resample, for shorter blocks of few calls
AT_ONCE = 250  # resamples sorted at once, which keeps memory small


class Draws(NamedTuple):
    """Percentiles of a program's calls, in the order of SHARES, and of each resample of them."""

    value: Float[np.ndarray, " P"]
    draws: Float[np.ndarray, "R P"]

    def intervals(self) -> dict[str, Interval]:
        """Each percentile by name."""
        return {name: around(self.value[at], self.draws[:, at]) for at, name in enumerate(SHARES)}


def places(calls: int, resamples: int, seed: int, block: int = BLOCK) -> Int[np.ndarray, "R N"]:
    """Which calls each resample consists of: blocks from random places, the end joined to the beginning."""
    block = max(min(block, calls // LEAST_BLOCKS), 1)
    starts = np.random.default_rng(seed).integers(0, calls, (resamples, -(-calls // block), 1))
    return ((starts + np.arange(block)) % calls).reshape(resamples, -1)[:, :calls]


def percentiles(taken_ms: Float[np.ndarray, " N"], drawn: Int[np.ndarray, "R N"]) -> Draws:
    """The percentiles of all calls, and of each resample."""
    shares = list(SHARES.values())
    each = [
        np.quantile(taken_ms[drawn[start : start + AT_ONCE]], shares, axis=1).T
        for start in range(0, len(drawn), AT_ONCE)
    ]
    return Draws(np.quantile(taken_ms, shares), np.concatenate(each))


def change(treatment: Draws, baseline: Draws) -> dict[str, Interval]:
    """Relative change of each percentile: −0.4 is 40% quicker. Both draws are of the same places."""
    return Draws(treatment.value / baseline.value - 1, treatment.draws / baseline.draws - 1).intervals()
