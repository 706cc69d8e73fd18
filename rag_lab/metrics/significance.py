"""How sure: paired intervals, p-values, their correction, and what could have been detected at all.

Every interval of a run comes from one set of bootstrap draws of query clusters (and of seeds, where there are
several), so differences between variants are paired. The mean over domains weighs each domain the same; domains
are drawn independently.

Shapes: Q queries, S seeds, D domains, R resamples. Intervals are 95% percentile intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.kernels import resample

LEVEL = 0.05
POWER = 0.8

_counts = jax.jit(resample.counts, static_argnames=("things", "resamples"))
_bootstrap_means = jax.jit(resample.bootstrap_means)
_over_seeds = jax.jit(resample.over_seeds)
_sign_flip = jax.jit(resample.sign_flip, static_argnames="resamples")


class Estimate(NamedTuple):
    """A mean of each domain and, last, the mean over domains, with all their resamples."""

    value: Float[np.ndarray, " D+1"]
    draws: Float[np.ndarray, "R D+1"]

    def interval(self, column: int) -> tuple[float, float]:
        """The 95% interval of one domain, or of the mean (-1)."""
        low, high = np.quantile(self.draws[:, column], [LEVEL / 2, 1 - LEVEL / 2])
        return float(low), float(high)


class Resampler:
    """Draws of clusters and seeds that all variants of a run share.

    domain, cluster: of each query; clusters are numbered within their domain. Every domain 0 … D − 1 must have
    a query.
    """

    def __init__(
        self, domain: Int[np.ndarray, " Q"], cluster: Int[np.ndarray, " Q"], *, seed: int, resamples: int
    ) -> None:
        self.resamples = resamples
        self._key = jax.random.key(seed)
        self._members = [np.flatnonzero(domain == one) for one in range(int(domain.max()) + 1)]
        self._clusters = [np.unique(cluster[members], return_inverse=True)[1] for members in self._members]
        self._sizes = [np.bincount(clusters) for clusters in self._clusters]
        self._drawn = [
            _counts(jax.random.fold_in(self._key, number), len(sizes), resamples)
            for number, sizes in enumerate(self._sizes)
        ]
        self._seeds: dict[int, Array] = {}

    @property
    def fewest_clusters(self) -> int:
        """The number of clusters in the domain that has the fewest."""
        return min(map(len, self._sizes))

    def estimate(self, values: Float[np.ndarray, "S Q"]) -> Estimate:
        """Mean over seeds and queries in each domain, then over domains."""
        point, draws = [], []
        for number, members in enumerate(self._members):
            sums = self._sums(number, values)
            point.append(float(values[:, members].mean()))
            means = _bootstrap_means(self._drawn[number], jnp.asarray(sums.T), self._sizes[number])
            draws.append(
                np.asarray(means[:, 0] if len(values) == 1 else _over_seeds(self._seed_draws(len(values)), means))
            )
        each = np.stack(draws, axis=1)
        return Estimate(np.array([*point, np.mean(point)]), np.column_stack([each, each.mean(axis=1)]))

    def p_values(self, difference: Float[np.ndarray, " Q"]) -> Float[np.ndarray, " D+1"]:
        """Two-sided sign-flip p-values of 'no difference' in each domain and, last, for the mean over domains."""
        sums = [self._sums(number, difference[None])[0] for number in range(len(self._members))]
        weighed = np.concatenate([one / sizes.sum() for one, sizes in zip(sums, self._sizes, strict=True)])
        key = jax.random.fold_in(self._key, len(sums))
        return np.array([float(_sign_flip(key, jnp.asarray(one), self.resamples)) for one in (*sums, weighed)])

    def _sums(self, number: int, values: Float[np.ndarray, "S Q"]) -> Float[np.ndarray, "S clusters"]:
        """Each cluster's sum of values."""
        members, clusters = self._members[number], self._clusters[number]
        sums = np.zeros((len(self._sizes[number]), len(values)), np.float32)
        np.add.at(sums, clusters, values[:, members].T)
        return sums.T

    def _seed_draws(self, seeds: int) -> Array:
        """One draw of seeds for all variants that have so many, so that they stay paired by seed."""
        if seeds not in self._seeds:
            self._seeds[seeds] = _counts(jax.random.fold_in(self._key, 2**31 - 1), seeds, self.resamples)
        return self._seeds[seeds]


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979, Scand. J. Statist. 6)."""
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def minimum_detectable_effect(draws: Float[np.ndarray, " R"], comparisons: int) -> float | None:
    """The difference found with 80% power at level 0.05/comparisons (two-sided, normal approximation).

    draws: bootstrap differences, whose spread is the standard error. None where they do not differ at all: a
    sample without variation says nothing of what could be detected.
    """
    if np.ptp(draws) == 0:
        return None
    normal = NormalDist()
    reach = normal.inv_cdf(1 - LEVEL / comparisons / 2) + normal.inv_cdf(POWER)
    return float(reach * draws.std(ddof=1))


class Comparison(NamedTuple):
    """One row of `comparisons` in summary.json: treatment minus baseline."""

    family: str
    metric: str
    treatment: str
    baseline: str
    domain: str
    difference: float
    relative: float | None
    ci_low: float
    ci_high: float
    p_value: float
    p_adjusted: float
    n: int
    minimum_detectable_effect: float | None


class Pair(NamedTuple):
    """What is compared: per-query values of two variants, and their estimates by one Resampler."""

    metric: str
    treatment: str
    baseline: str
    treatment_values: Float[np.ndarray, "S Q"]
    baseline_values: Float[np.ndarray, "S Q"]
    treatment_estimate: Estimate
    baseline_estimate: Estimate


def compare(
    resampler: Resampler,
    family: str,
    pairs: Sequence[Pair],
    domains: Sequence[str],
    counts: Sequence[int],
    mean: bool,
) -> list[Comparison]:
    """One family of comparisons: every pair in every domain, and for the mean over domains if asked.

    counts: queries in each domain. p-values are Holm-adjusted over the whole family.
    """
    names = [*domains, "mean"]
    columns = range(len(names) if mean else len(domains))
    family_size = len(pairs) * len(columns)
    rows: list[Comparison] = []
    for pair in pairs:
        p_values = resampler.p_values(pair.treatment_values.mean(axis=0) - pair.baseline_values.mean(axis=0))
        value = pair.treatment_estimate.value - pair.baseline_estimate.value
        draws = Estimate(value, pair.treatment_estimate.draws - pair.baseline_estimate.draws)
        for column in columns:
            base = float(pair.baseline_estimate.value[column])
            low, high = draws.interval(column)
            rows.append(
                Comparison(
                    family=family,
                    metric=pair.metric,
                    treatment=pair.treatment,
                    baseline=pair.baseline,
                    domain=names[column],
                    difference=float(value[column]),
                    relative=float(value[column]) / base if base else None,
                    ci_low=low,
                    ci_high=high,
                    p_value=float(p_values[column]),
                    p_adjusted=0.0,
                    n=[*counts, sum(counts)][column],
                    minimum_detectable_effect=minimum_detectable_effect(draws.draws[:, column], family_size),
                )
            )
    adjusted = holm([row.p_value for row in rows])
    return [row._replace(p_adjusted=p) for row, p in zip(rows, adjusted, strict=True)]
