"""The area under the ROC curve, and its interval over resampled clusters.

The area is the share of (true, false) pairs in which the true one scores higher, ties counting half (Hanley and
McNeil 1982, Radiology 143(1)). A resample draws whole clusters of queries with replacement; each example then
counts as often as its cluster was drawn.

Shapes: P true examples, N false ones, C clusters, R resamples.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rag_lab.kernels.resample import counts

TAILS = (0.025, 0.975)  # of a 95% percentile interval


class Area(NamedTuple):
    """The area with its 95% interval, and of how many examples of both kinds."""

    auc: float
    low: float
    high: float
    true: int
    false: int


def area(
    true: Float[np.ndarray, " P"],
    false: Float[np.ndarray, " N"],
    true_cluster: Int[np.ndarray, " P"],
    false_cluster: Int[np.ndarray, " N"],
    *,
    resamples: int,
    seed: int,
) -> Area | None:
    """The area of scores of true and of false examples; None where there is none of a kind.

    Clusters are numbered from 0, over both kinds.
    """
    if not len(true) or not len(false):
        return None
    wins = (true[:, None] > false) + 0.5 * (true[:, None] == false)
    clusters = 1 + int(max(true_cluster.max(), false_cluster.max()))
    drawn = np.asarray(counts(jax.random.key(seed), clusters, resamples), np.float64)
    of_true, of_false = drawn[:, true_cluster], drawn[:, false_cluster]
    pairs = of_true.sum(axis=1) * of_false.sum(axis=1)
    won = ((of_true @ wins) * of_false).sum(axis=1)
    low, high = np.quantile(won[pairs > 0] / pairs[pairs > 0], TAILS)
    return Area(float(wins.mean()), float(low), float(high), len(true), len(false))
