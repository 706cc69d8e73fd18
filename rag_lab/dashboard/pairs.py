"""Two runs compared, query by query: the second minus the first, for the variant that both have.

The same bootstrap of query clusters and the same correction as within a run (`metrics.significance`), over the test
queries that both judged. Each domain for itself, and their mean. Nothing here says why runs differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rag_lab.dashboard import rows

METRICS = {
    "recall_at_10": "retrieval/recall_at_10",
    "ndcg_at_10": "retrieval/ndcg_at_10",
    "cost_usd": "cost/usd_per_1k_queries",
}
SCALES = {"cost_usd": 1000.0}  # a column is of one query, its metric of a thousand
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
    one, two = (rows.scores(path, variant, list(METRICS)) for path in (first, second))
    both = one.join(two, ["query_id", "domain"], join_type="inner", right_suffix=".second")
    both = both.sort_by([("domain", "ascending"), ("query_id", "ascending")])
    counts = {"paired": both.num_rows, "only_first": one.num_rows - both.num_rows}
    counts["only_second"] = two.num_rows - both.num_rows
    return {**counts, "comparisons": _comparisons(both, variant) if both.num_rows else []}


def _comparisons(both: pa.Table, variant: str) -> list[dict[str, Any]]:
    from rag_lab.metrics.significance import Pair, Resampler  # JAX: only where runs are compared
    from rag_lab.metrics.significance import compare as compared

    names, domain = np.unique(both["domain"].to_numpy(zero_copy_only=False), return_inverse=True)
    clusters = both["cluster"].to_numpy() if "cluster" in both.column_names else np.arange(both.num_rows)
    if len(np.unique(np.stack([domain, clusters]), axis=1).T) > MOST_CLUSTERS:
        clusters = clusters % (MOST_CLUSTERS // len(names))  # coarser clusters: intervals stay honest, if wider
    resampler = Resampler(domain, clusters.astype(int), seed=SEED, resamples=RESAMPLES)
    pairs = []
    for column, metric in METRICS.items():
        if column not in both.column_names or f"{column}.second" not in both.column_names:
            continue
        before, after = (
            SCALES.get(column, 1.0) * both[name].to_numpy()[None].astype(float) for name in (column, f"{column}.second")
        )
        if np.isfinite(before).all() and np.isfinite(after).all():
            estimates = resampler.estimate(after), resampler.estimate(before)
            pairs.append(Pair(metric, f"{variant} of the second", "the first", after, before, *estimates))
    found = compared(resampler, FAMILY, pairs, list(names), np.bincount(domain).tolist(), mean=True)
    return [row._asdict() for row in found]
