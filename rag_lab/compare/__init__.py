"""Two runs, paired query by query: `python -m rag_lab.compare BASELINE TREATMENT`.

The statistics are the protocol's, as within a run: bootstrap and sign-flip by cluster, Holm's correction within
the family of one metric (its domains and their mean), the smallest difference that could have been detected.
per_query holds means over seeds, so the intervals are of queries, not of seeds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rag_lab.compare import pairing
from rag_lab.compare.pairing import METRICS, SPREAD, Paired, Side
from rag_lab.errors import ConfigError
from rag_lab.experiment.verdicts import FEW_CLUSTERS
from rag_lab.metrics.significance import Comparison, Pair, Resampler, compare


class Row(NamedTuple):
    """One comparison, with the two means that it is the difference of."""

    baseline: float
    treatment: float
    comparison: Comparison


class Compared(NamedTuple):
    """All of it. queries, clusters: how many were paired."""

    baseline: Side
    treatment: Side
    queries: int
    clusters: int
    rows: list[Row]
    notes: list[str]


def runs(
    baseline: Side, treatment: Side, columns: Sequence[str], *, intersect: bool, seed: int, resamples: int
) -> Compared:
    """Compare two variants of two runs in these columns of per_query.

    DataError where the runs have not seen the same, ConfigError where one has not measured a column.
    """
    for column in columns:
        for side in (baseline, treatment):
            if column not in side.metrics:
                raise ConfigError(
                    f"{side.run.folder}: --metrics {column}: not measured; measured are {', '.join(side.metrics)}"
                )
    paired = pairing.pair(baseline, treatment, intersect=intersect)
    notes = list(paired.notes)
    rows: list[Row] = []
    for column in columns:
        found, left_out, fewest = _metric(baseline, treatment, paired, column, seed, resamples)
        rows += found
        if left_out:
            notes.append(f"{column} was not measured on {left_out} queries; they are left out of it.")
        if fewest < FEW_CLUSTERS:
            notes.append(f"{column}: a domain has {fewest} clusters, too few for any interval to mean much.")
    if any(_spread(side, column) for side in (baseline, treatment) for column in columns):
        notes.append("Learners stand for themselves by their means over seeds: intervals are of queries, not of seeds.")
    return Compared(baseline, treatment, len(paired.domain), len(np.unique(paired.cluster)), rows, notes)


def _metric(
    baseline: Side, treatment: Side, paired: Paired, column: str, seed: int, resamples: int
) -> tuple[list[Row], int, int]:
    """The rows of one metric, how many queries they leave out, and the fewest clusters of a domain."""
    metric, _ = METRICS.get(column, (column, 1))
    ours, theirs = (
        pairing.values(side, column, rows) for side, rows in zip((baseline, treatment), paired.rows, strict=True)
    )
    measured = np.isfinite(ours) & np.isfinite(theirs)
    if not measured.any():
        raise ConfigError(f"--metrics {column}: no query was measured in both runs; choose another")
    present, domain = np.unique(paired.domain[measured], return_inverse=True)
    domains = [paired.domains[one] for one in present]
    resampler = Resampler(domain, paired.cluster[measured], seed=seed, resamples=resamples)
    before, after = ours[measured][None], theirs[measured][None]
    estimates = resampler.estimate(before), resampler.estimate(after)
    pair = Pair(metric, treatment.variant, baseline.variant, after, before, estimates[1], estimates[0])
    counts = np.bincount(domain).tolist()
    found = compare(resampler, f"exploratory {column}", [pair], domains, counts, mean=True)
    rows = [
        Row(float(one), float(other), row)
        for one, other, row in zip(estimates[0].value, estimates[1].value, found, strict=True)
    ]
    return rows, int((~measured).sum()), resampler.fewest_clusters


def _spread(side: Side, column: str) -> bool:
    """Whether a column is a mean over seeds that differ."""
    return any(side.columns.get(f"{column}{SPREAD}", ()))
