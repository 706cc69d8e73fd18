"""Two runs compared, query by query: the second minus the first, for the variant that both have.

The same clusters as `rag_lab.compare` has, the same bootstrap and correction as within a run (`metrics.significance`),
over the test queries that both judged; read by column, so that a million rows fit. Each domain for itself, and their
mean. Nothing here says why runs differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rag_lab.compare.pairing import METRICS
from rag_lab.compare.pairing import clusters as clustered
from rag_lab.dashboard import rows

COLUMNS = ("recall_at_10", "ndcg_at_10", "cost_usd")
RESAMPLES = 2000  # ends of intervals to about a hundredth of their length
SEED = 0
FAMILY = "two runs"
MOST_CLUSTERS = 20_000  # a draw for every cluster and resample has to fit into memory


def shared(first: Path, second: Path) -> list[str]:
    """Variants of which both files have rows."""
    there = set(rows.variants(second))
    return [variant for variant in rows.variants(first) if variant in there]


def compare(first: Path, second: Path, variant: str) -> dict[str, Any]:
    """`comparisons` as summary.json has them, and how many test queries are paired, and only in one run."""
    one, two = (rows.scores(path, variant, list(COLUMNS)) for path in (first, second))
    both = one.join(two, ["query_id", "domain"], join_type="inner", right_suffix=".second")
    both = both.sort_by([("domain", "ascending"), ("query_id", "ascending")])
    counts = {"paired": both.num_rows, "only_first": one.num_rows - both.num_rows}
    counts["only_second"] = two.num_rows - both.num_rows
    found, said = _comparisons(both, variant) if both.num_rows else ([], [])
    return {**counts, "comparisons": found, "notes": said}


def _comparisons(both: pa.Table, variant: str) -> tuple[list[dict[str, Any]], list[str]]:
    from rag_lab.metrics.significance import Pair, Resampler  # JAX: only where runs are compared
    from rag_lab.metrics.significance import compare as compared

    names, domain = np.unique(both["domain"].to_numpy(zero_copy_only=False), return_inverse=True)
    labels = [both[name].to_numpy() for name in ("cluster", "cluster.second") if name in both.column_names]
    clusters, said = clustered(labels, domain)
    if len(np.unique(clusters)) > MOST_CLUSTERS:
        # Clusters are independent, so groups of them are too: their bootstrap has the same variance.
        clusters = clusters % (MOST_CLUSTERS // len(names))
    resampler = Resampler(domain, clusters.astype(int), seed=SEED, resamples=RESAMPLES)
    pairs = []
    for column in COLUMNS:
        if column not in both.column_names or f"{column}.second" not in both.column_names:
            continue
        metric, scale = METRICS[column]
        before, after = (scale * both[name].to_numpy()[None].astype(float) for name in (column, f"{column}.second"))
        if np.isfinite(before).all() and np.isfinite(after).all():
            estimates = resampler.estimate(after), resampler.estimate(before)
            pairs.append(Pair(metric, f"{variant} of the second", "the first", after, before, *estimates))
    found = compared(resampler, FAMILY, pairs, list(names), np.bincount(domain).tolist(), mean=True)
    return [row._asdict() for row in found], said
