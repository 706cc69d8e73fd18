"""A run's windows as the rows of a tracker: (metric, step, value), a step being a second since the run's start.

Latencies of a variant are `window/latency_ms/<level>_<percentile>` with `window/queries_per_s`; the machine's figures
keep their own names, MLflow's `system/…`, and belong to the run. Absent is not zero: a window in which a level did
nothing has no row of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rag_lab.telemetry import names
from rag_lab.telemetry.session import Window

SHARES = ("p50", "p95", "p99")
Row = tuple[str, int, float]


def of_variant(windows: Sequence[Window], variant: str) -> Iterator[Row]:
    """What a variant's levels took in each window."""
    for window in windows:
        step, levels = round(window.at_s), window.latencies.get(variant, {})
        for level, found in levels.items():
            for share in SHARES:
                yield f"window/latency_ms/{level}_{share}", step, found[f"{share}_ms"]
        if names.E2E in levels and window.seconds > 0:
            yield "window/queries_per_s", step, levels[names.E2E]["count"] / window.seconds


def of_machine(windows: Sequence[Window]) -> Iterator[Row]:
    """What the machine did at the end of each window."""
    for window in windows:
        for name, value in window.gauges.items():
            if name.startswith("system/"):
                yield name, round(window.at_s), value


def thinned(windows: Sequence[Window], most: int) -> Sequence[Window]:
    """At most so many windows, evenly, the first and the last among them."""
    if len(windows) <= most:
        return windows
    return [windows[round(n * (len(windows) - 1) / max(most - 1, 1))] for n in range(most)]
