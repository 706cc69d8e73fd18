"""Areas and shares of examples that come in clusters of queries, with intervals over resampled clusters.

An area under the ROC curve is the share of (true, false) pairs in which the true example scores higher, ties
counting half (Hanley and McNeil 1982, Radiology 143(1)). A resample draws whole clusters with replacement; an
example then counts as often as its cluster was drawn. Resamples in which nothing is left to divide by are left
out.

Shapes: N examples, P true ones, F false ones, R resamples. Clusters are numbered from 0.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.kernels.resample import counts

TAILS = (0.025, 0.975)  # of a 95% percentile interval
_counts = jax.jit(counts, static_argnames=("things", "resamples"))


class Interval(NamedTuple):
    """A statistic with its 95% interval, and how many examples it divides by."""

    value: float
    low: float
    high: float
    n: int


class Draws(NamedTuple):
    """How clusters are resampled: always the same draws for the same seed and number of clusters."""

    resamples: int
    seed: int

    def weights(self, cluster: Int[np.ndarray, " N"], clusters: int) -> Float[np.ndarray, "R N"]:
        """How often each example counts in each resample, of so many clusters in all."""
        drawn = _counts(jax.random.key(self.seed), things=clusters, resamples=self.resamples)
        return np.asarray(drawn, np.float64)[:, cluster]


def area(
    true: Float[np.ndarray, " P"],
    false: Float[np.ndarray, " F"],
    true_cluster: Int[np.ndarray, " P"],
    false_cluster: Int[np.ndarray, " F"],
    draws: Draws,
) -> Interval | None:
    """The area of the scores of true and of false examples; None where there is none of a kind. n: true ones."""
    if not len(true) or not len(false):
        return None
    wins = (true[:, None] > false) + 0.5 * (true[:, None] == false)
    clusters = 1 + int(max(true_cluster.max(), false_cluster.max()))
    of_true, of_false = draws.weights(true_cluster, clusters), draws.weights(false_cluster, clusters)
    won = ((of_true @ wins) * of_false).sum(axis=1)
    pairs = of_true.sum(axis=1) * of_false.sum(axis=1)
    return Interval(float(wins.mean()), *_tails(won, pairs), len(true))


def share(
    hit: Bool[np.ndarray, " N"], among: Bool[np.ndarray, " N"], cluster: Int[np.ndarray, " N"], draws: Draws
) -> Interval | None:
    """The share of the examples `among` that are hits; None where there is none."""
    if not among.any():
        return None
    weights = draws.weights(cluster, 1 + int(cluster.max()))
    return Interval(float(hit[among].mean()), *_tails(weights @ (hit & among), weights @ among), int(among.sum()))


def _tails(above: Float[np.ndarray, " R"], below: Float[np.ndarray, " R"]) -> tuple[float, float]:
    low, high = np.quantile(above[below > 0] / below[below > 0], TAILS)
    return float(low), float(high)
