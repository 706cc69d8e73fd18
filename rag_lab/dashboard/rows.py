"""A run's `per_query.parquet` and `decisions.parquet`, summed up by Arrow: only what is asked for is read.

Scores are shares in [0, 1], of the test split; α in [0, 1] is the BM25 weight; times are milliseconds.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rag_lab.metrics.interval import NORMAL_95

BINS = 40  # of a policy's steps: more would not be told apart on a screen
NAMES = ("query_id", "domain", "cluster")
SHARES = (0.5, 0.95, 0.99)
LISTED = 12  # queries at each end


def per_query(folder: Path) -> Path | None:
    """The file of a run, or of an adopted one; None where it has none."""
    return next((path for end in ("", ".gz") if (path := folder / f"per_query.parquet{end}").is_file()), None)


def scores(path: Path, variant: str, columns: Sequence[str]) -> pa.Table:
    """One variant's test queries: `NAMES` and the columns asked for that the file has."""
    has = set(_schema(path).names)
    wanted = [name for name in (*NAMES, *columns) if name in has]
    table = pq.read_table(
        _source(path), columns=wanted, filters=(pc.field("variant") == variant) & (pc.field("split") == "test")
    )
    return table.set_column(
        table.schema.get_field_index("query_id"), "query_id", pc.cast(table["query_id"], pa.string())
    )


def variants(path: Path) -> list[str]:
    """The variants of which the file has rows, in order."""
    found: list[str] = pc.unique(pq.read_table(_source(path), columns=["variant"])["variant"]).to_pylist()
    return found


def extremes(path: Path, treatment: str, baseline: str) -> list[dict[str, Any]]:
    """The test queries on which two variants' recall@10 differ most: at most `LISTED` losses, then as many wins."""
    metric = "recall_at_10"
    both = scores(path, treatment, [metric, "detected_domain"]).join(
        scores(path, baseline, [metric]).select(["query_id", "domain", metric]), ["query_id", "domain"],
        join_type="inner", right_suffix="_base",
    )  # fmt: skip
    both = both.append_column("difference", pc.subtract(both[metric], both[f"{metric}_base"]))
    both = both.sort_by([("difference", "ascending"), ("query_id", "ascending")])
    ends = [row for row in both.slice(0, LISTED).to_pylist() if row["difference"] < 0]
    first = max(0, both.num_rows - LISTED)
    return ends + [row for row in reversed(both.slice(first).to_pylist()) if row["difference"] > 0]


def latencies(path: Path) -> dict[str, dict[str, float]]:
    """Percentiles of each variant's `latency_ms`, of the queries of which it was measured; with their number."""
    if "latency_ms" not in _schema(path).names:
        return {}
    table = pq.read_table(_source(path), columns=["variant", "latency_ms"])
    table = table.filter(pc.is_valid(table["latency_ms"]))
    found = {}
    for variant in pc.unique(table["variant"]).to_pylist():
        values = table.filter(pc.equal(table["variant"], variant))["latency_ms"].to_numpy()
        found[variant] = {f"p{100 * share:g}": float(np.quantile(values, share)) for share in SHARES} | {
            "queries": float(len(values))
        }
    return found


def alpha_by_step(path: Path) -> dict[str, dict[str, list[list[float]]]]:
    """policy -> domain -> [step, α, low, high, reward, low, high] for each bin of steps.

    Means over seeds with 95% intervals (normal approximation); a seed's value is its mean in the bin. Both ends are
    the mean itself where there is one seed.
    """
    table = pq.read_table(_source(path), columns=["policy", "domain", "step", "seed", "alpha", "reward"])
    if not table.num_rows:
        return {}
    width = max(1, -(-pc.max(table["step"]).as_py() // BINS))
    table = table.append_column("bin", pc.divide(pc.cast(table["step"], pa.int64()), width))
    keys = ["policy", "domain", "bin"]
    seeds = table.group_by([*keys, "seed"]).aggregate([("alpha", "mean"), ("reward", "mean"), ("step", "mean")])
    what = ("mean", "stddev", "count")
    over = seeds.group_by(keys).aggregate(
        [("step_mean", "mean"), *((f"{one}_mean", how) for one in ("alpha", "reward") for how in what)]
    )
    found: dict[str, dict[str, list[list[float]]]] = {}
    for row in over.sort_by([(key, "ascending") for key in keys]).to_pylist():
        if row["alpha_mean_mean"] is None:
            continue
        point = [row["step_mean_mean"], *_interval(row, "alpha_mean"), *_interval(row, "reward_mean")]
        found.setdefault(row["policy"], {}).setdefault(row["domain"], []).append(point)
    return found


def _interval(row: dict[str, Any], name: str) -> list[float]:
    mean, count = float(row[f"{name}_mean"]), int(row[f"{name}_count"])
    # Arrow's standard deviation divides by n, a sample's by n - 1.
    half = NORMAL_95 * float(row[f"{name}_stddev"]) / np.sqrt(count - 1) if count > 1 else 0.0
    return [mean, mean - half, mean + half]


def _source(path: Path) -> Path | io.BytesIO:
    """What Arrow reads: the file, or what an adopted run's compressed one holds."""
    return io.BytesIO(gzip.decompress(path.read_bytes())) if path.suffix == ".gz" else path


def _schema(path: Path) -> pa.Schema:
    return pq.read_schema(_source(path))
