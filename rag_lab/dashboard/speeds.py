"""The view of latencies: of each level, as far as the run measured them, and what else it measured of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import html

from rag_lab.dashboard import courses, kept, parts, rows
from rag_lab.dashboard.parts import Children
from rag_lab.dashboard.seen import Seen
from rag_lab.report import speed, wording
from rag_lab.report.sheet import Sheet


def latency(seen: Seen) -> Children:
    """Percentiles of each level, as far as the run measured them; counts, cost and machine from its metrics file."""
    drawn: Children = []
    run = seen.run
    if run is not None:
        for section in speed.sections(run):
            for part in section.parts:
                drawn += parts.table(part) if isinstance(part, Sheet) else parts.figure(part, seen.look)
        if "profile" not in run.curves:
            drawn += parts.guarded("Levels", lambda: parts.figure(courses.levels(run.summary["metrics"]), seen.look))
        drawn += parts.guarded("Queries", lambda: _per_query(seen))
    drawn += parts.guarded("Watched", lambda: parts.figure(courses.watched(seen.points), seen.look))
    drawn += parts.guarded("Metrics", lambda: _measured(seen.document))
    return drawn or [
        parts.nothing(
            "This run timed no answer: the live pipeline does, in baseline and week1. Replays have no latency."
        )
    ]


def _per_query(seen: Seen) -> Children:
    path = rows.per_query(seen.row.folder)
    found = {} if path is None else kept.once(seen.store, "latencies", [path], lambda: rows.latencies(path))
    cells = [
        [variant, f"{one['queries']:,.0f}", *(wording.number(one[share]) for share in ("p50", "p95", "p99"))]
        for variant, one in found.items()
    ]
    note = "Milliseconds a query, of the queries that were timed (per_query.parquet)."
    return parts.table(Sheet("By variant", note, ["variant", "queries", "p50", "p95", "p99"], cells)) if cells else []


def _measured(document: Mapping[str, Any]) -> Children:
    """The metrics file: latencies by variant and level, then counters and gauges."""
    if not document:
        return []
    times = [
        [
            one["variant"],
            one["level"],
            f"{one['count']:,}",
            *(wording.number(one[f"{share}_ms"]) for share in ("p50", "p95", "p99", "max")),
        ]
        for one in document.get("latencies", ())
    ]
    counts = [[one["name"], _labels(one), wording.number(one["value"])] for one in document.get("counters", ())]
    gauges = [
        [one["name"], _labels(one), *(wording.number(one[key]) for key in ("last", "low", "mean", "high"))]
        for one in document.get("gauges", ())
    ]
    exact = f"Milliseconds; counts are exact, percentiles within {document.get('relative_error', 0):.1%}."
    sheets = (
        Sheet("Measured by the run", exact, ["variant", "level", "count", "p50", "p95", "p99", "most"], times, names=2),
        Sheet("Counted", "Sums over the run so far.", ["what", "of", "number"], counts, names=2),
        Sheet(
            "The machine meanwhile",
            "Units are in the names.",
            ["what", "of", "last", "least", "mean", "most"],
            gauges,
            names=2,
        ),
    )
    missing = [
        html.Ul([html.Li(f"{name}: {why}") for name, why in document.get("absent", {}).items()], className="notes")
    ]
    return [one for sheet in sheets if sheet.rows for one in parts.table(sheet)] + parts.folded(
        "Not measured, and why", missing if document.get("absent") else []
    )


def _labels(one: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in one.get("labels", {}).items())
