"""Every run's measurement as Parquet, kept for good: reports/metrics/history/<timestamp>.parquet, a row per number.

Columns: run_id, experiment, folder, started_at (UTC), series, config_hash, data_fingerprint, device, seed, git_sha,
status, kind ("latency", "total", "gauge", "run"), variant ("" where a number belongs to the run), metric, value, n
(measurements behind it; null where unknown). Latencies are named `latency_ms/<level>_<percentile>`, counters
`total/<name>`, gauges `gauge/<name>`, with labels as `{label=value}`; the run's own metrics as in summary.json. Any
tool that reads Parquet can query the folder; `query` does it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag_lab.assets import atomic
from rag_lab.telemetry.document import SHARES, Document

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "history"
FACTS = ("run_id", "experiment", "folder", "series", "config_hash", "data_fingerprint", "device", "seed", "git_sha")


def write(folder: Path, stamp: str, content: Document) -> Path:
    """Add a run that has ended; `folder` is that of the metrics files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    facts = {name: getattr(content.run, name) for name in FACTS}
    facts |= {"started_at": datetime.fromisoformat(content.run.started_at), "status": content.status}
    rows = [facts | row for row in _rows(content)]
    path = folder / FOLDER / f"{stamp}.parquet"
    with atomic.write(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=_schema()), temporary)
    return path


def query(folder: Path, columns: list[str] | None = None, **equal: Any) -> pa.Table:
    """The rows of which every column named has the value given (or one of those in a list), the oldest run first.

    folder: that of the metrics files. Without any history the table is empty.
    """
    import pyarrow.compute as pc
    import pyarrow.dataset as ds

    paths = sorted(map(str, (folder / FOLDER).glob("*.parquet")))
    if not paths:
        return _schema().empty_table().select(columns or _schema().names)
    wanted = None
    for column, value in equal.items():
        one = pc.field(column).isin(value) if isinstance(value, list) else pc.field(column) == value
        wanted = one if wanted is None else wanted & one
    return ds.dataset(paths, schema=_schema(), format="parquet").to_table(columns=columns, filter=wanted)


def _rows(content: Document) -> Iterator[dict[str, Any]]:
    for part in content.latencies:
        for share in SHARES:
            name = f"latency_ms/{part.level}_{share.removesuffix('_ms')}"
            yield _row("latency", name, getattr(part, share), part.count, part.variant)
    for counter in content.counters:
        yield _row("total", _named("total", counter.name, counter.labels), counter.value)
    for gauge in content.gauges:
        yield _row("gauge", _named("gauge", gauge.name, gauge.labels), gauge.mean, gauge.count)
    for metric, value in content.metrics.items():
        yield _row("run", metric, value)


def _row(kind: str, metric: str, value: float, n: int | None = None, variant: str = "") -> dict[str, Any]:
    return {"kind": kind, "variant": variant, "metric": metric, "value": value, "n": n}


def _named(kind: str, name: str, labels: Mapping[str, str]) -> str:
    inside = ",".join(f"{label}={value}" for label, value in sorted(labels.items()))
    return f"{kind}/{name}" + (f"{{{inside}}}" if inside else "")


def _schema() -> pa.Schema:
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        [
            *((name, pa.int64() if name == "seed" else text) for name in FACTS),
            ("started_at", pa.timestamp("us", tz="UTC")),
            ("status", text),
            ("kind", text),
            ("variant", text),
            ("metric", text),
            ("value", pa.float64()),
            ("n", pa.int64()),
        ]
    )
