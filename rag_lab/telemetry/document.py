"""What is kept of a run's measurement: the schema of reports/metrics/<timestamp>.json, read and written through it.

`latencies` and `counters` are exact and add up over runs and processes; percentiles are within `relative_error`.
Absent is not zero: a level in which nothing was done has no entry, and `absent` says why a figure is missing.

Units: milliseconds in `latencies`; a gauge's are in its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag_lab.errors import DataError
from rag_lab.telemetry.recorder import Snapshot
from rag_lab.telemetry.sketch import Histogram

SHARES = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99, "max_ms": 1.0}
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Status = Literal["running", "finished", "failed", "killed"]


class Part(BaseModel):
    """Frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Facts(Part):
    """What a run is. series: the same for runs that may be held against each other: configuration (but for what only
    watches), data, seed and device. folder: the run's, as seen from where reports/ lies.
    """

    run_id: Text
    experiment: Text
    folder: Text
    started_at: Text
    series: Text
    config_hash: Text
    data_fingerprint: Text
    device: Text
    seed: int
    git_sha: str | None
    pid: int


class LatencyPart(Part):
    """One level of one variant. count: queries; bins: number of the bin -> queries (see `sketch`)."""

    variant: Text
    level: Text
    count: Count
    sum_ms: Amount
    zeros: Count
    bins: dict[int, Count]
    p50_ms: Amount
    p95_ms: Amount
    p99_ms: Amount
    max_ms: Amount


class CounterPart(Part):
    """A counter with its labels."""

    name: Text
    labels: dict[str, str]
    value: Amount


class GaugePart(Part):
    """A quantity over the run: the last value, and those in between."""

    name: Text
    labels: dict[str, str]
    last: Number
    low: Number
    high: Number
    mean: Number
    count: Count


class Document(Part):
    """The file. status: "running" until the run ends; where its process is gone it was killed. written_at, every_s:
    when it was written, and how often it is while the run goes on. metrics: those of summary.json, once finished.
    """

    format: Literal["rag_lab.metrics/1"]
    status: Status
    written_at: Text
    every_s: Amount
    run: Facts
    relative_error: Annotated[float, Field(gt=0, lt=1)]
    latencies: list[LatencyPart]
    counters: list[CounterPart]
    gauges: list[GaugePart]
    metrics: dict[str, Number]
    absent: dict[str, str]

    def histograms(self) -> dict[tuple[str, str], Histogram]:
        """The histograms by (variant, level), to be added up with another document's."""
        return {
            (one.variant, one.level): Histogram(self.relative_error, one.count, one.sum_ms, one.zeros, one.bins)
            for one in self.latencies
        }


def latency_parts(latencies: Mapping[tuple[str, str], Histogram]) -> list[LatencyPart]:
    """The histograms that hold anything, with their percentiles."""
    return [
        LatencyPart(
            variant=variant,
            level=level,
            count=one.count,
            sum_ms=one.sum_ms,
            zeros=one.zeros,
            bins=one.bins,
            **{name: one.quantile(share) or 0.0 for name, share in SHARES.items()},
        )
        for (variant, level), one in sorted(latencies.items())
        if one.count
    ]


def compose(
    facts: Facts,
    snapshot: Snapshot,
    *,
    status: Status,
    written_at: str,
    every_s: float,
    relative_error: float,
    metrics: Mapping[str, float],
    absent: Mapping[str, str],
) -> Document:
    """The document of a run so far."""
    return Document(
        format="rag_lab.metrics/1",
        status=status,
        written_at=written_at,
        every_s=every_s,
        run=facts,
        relative_error=relative_error,
        latencies=latency_parts(snapshot.latencies),
        counters=[
            CounterPart(name=name, labels=dict(labels), value=value)
            for (name, labels), value in sorted(snapshot.counters.items())
        ],
        gauges=[
            GaugePart(
                name=name,
                labels=dict(labels),
                last=one.last,
                low=one.low,
                high=one.high,
                mean=one.total / one.count,
                count=one.count,
            )
            for (name, labels), one in sorted(snapshot.gauges.items())
        ],
        metrics=dict(metrics),
        absent=dict(absent),
    )


def read(path: Path) -> Document:
    """A file's document; DataError where it is none."""
    try:
        return Document.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"not a metrics file of this version: {place}: {first['msg']}", path) from error
