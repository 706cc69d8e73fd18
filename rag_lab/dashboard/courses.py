"""Figures of what goes on: α as it is learned, work over time, latencies by level and while they are watched.

Each returns a `Picture` as the report's figures do, or None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import plotly.graph_objects as go

from rag_lab.dashboard.following import Bar
from rag_lab.dashboard.measured import Point
from rag_lab.report import marks, panels
from rag_lab.report.figures import Picture, in_rows
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.style import SPARE, STANDING, TREATMENT, Style, styles

ALPHA_TITLE, STEPS_TITLE = "α (BM25 weight)", "queries seen, all domains"
LINES = (TREATMENT, *STANDING.values(), *SPARE)


def alpha_by_step(found: Mapping[str, Mapping[str, Sequence[Sequence[float]]]], run: Run) -> Picture | None:
    """α, and the reward it brought, over the queries that a policy saw: a column for each domain."""
    domains = [one for one in run.domains if any(one in places for places in found.values())]
    if not domains:
        return None
    look, figure, steps = styles(run), go.Figure(), [0.0]
    for at, domain in enumerate(domains):
        for number, (policy, places) in enumerate(found.items()):
            points = list(zip(*places.get(domain, ()), strict=True))
            if not points:
                continue
            style = look.get(policy, LINES[number % len(LINES)])
            x, *rest = points
            steps += x
            for lower, (mean, low, high) in enumerate((rest[:3], rest[3:])):
                index = 2 * at + lower
                figure.add_trace(marks.band(index, x, low, high, style.colour, policy))
                figure.add_trace(marks.line(index, x, mean, style, policy, policy == run.treatment, not (at or lower)))
    for at in range(len(domains)):
        panels.axis(figure, "y", 2 * at, range=[-0.03, 1.03], nticks=6)
        for index in (2 * at, 2 * at + 1):
            panels.axis(figure, "x", index, range=[0, max(steps)], nticks=6)
    heads = [
        panel
        for one in domains
        for panel in (Panel(one, 200, "", ALPHA_TITLE), Panel(None, 150, STEPS_TITLE, "reward"))
    ]
    wide = [[2 * at + lower for at in row] for row in in_rows(len(domains)) for lower in (0, 1)]
    narrow = Grid(heads, wide).arrange(figure, legend=len(found) > 1)
    who = " and ".join(found) if len(found) < 4 else f"{len(found)} policies"
    caption = (
        f"What {who} played while learning, from decisions.parquet: the mean over its seeds in each bin of steps, with "
        "a 95% band over seeds. Above α, from 0 (vector search alone) to 1 (BM25 alone); below the reward (recall@10) "
        "that came of it, on its own range. Early decisions explore."
    )
    return Picture("alpha-by-step", "α as it is learned, by domain", caption, figure, narrow)


def work(bars: Sequence[Bar]) -> Picture | None:
    """Units a second of the latest work over time, between one event and the next."""
    bar = next((bar for bar in reversed(bars) if len(bar.times) > 2), None)
    if bar is None:
        return None
    spans = list(zip(bar.times[1:], bar.times, bar.counts[1:], bar.counts, strict=False))
    drawn = [(end / 60, (done - before) / (end - start)) for end, start, done, before in spans if end > start]
    figure = go.Figure(
        marks.line(0, [x for x, _ in drawn], [y for _, y in drawn], LINES[1]._replace(dash="solid"), bar.what, False)
    )
    figure.data[0].update(mode="lines+markers", line={"shape": "hv"})
    narrow = Grid([Panel(None, 170, "minutes since the run started", f"{bar.unit} a second")], [[0]]).arrange(
        figure, legend=False
    )
    panels.axis(figure, "y", 0, rangemode="tozero")
    return Picture("work", f"Throughput: {bar.what}", "Between one event and the next.", figure, narrow)


def levels(metrics: Mapping[str, float]) -> Picture | None:
    """p50, p95 and p99 of each level that a run measured (`latency_ms/<level>_p50` …), with what intervals it has."""
    named = {name.removeprefix("latency_ms/").rpartition("_")[0] for name in metrics if name.startswith("latency_ms/")}
    stages = sorted(one for one in named if f"latency_ms/{one}_p50" in metrics)
    if not stages:
        return None
    figure = go.Figure()
    for number, share in enumerate(("p50", "p95", "p99")):
        style = LINES[number]
        for row, stage in enumerate(stages):
            name = f"latency_ms/{stage}_{share}"
            if name in metrics:
                ends = (metrics.get(f"{name}_ci_low"), metrics.get(f"{name}_ci_high"))
                mark = marks.point(0, row, metrics[name], *ends, style, f"{stage} {share}, ms")
                figure.add_trace(mark.update(name=share, legendgroup=share, showlegend=row == 0))
    grid = Grid([Panel(None, max(90, 44 * len(stages)), "milliseconds", "")], [[0]])
    narrow = grid.arrange(figure, legend=True)
    panels.axis(figure, "x", 0, rangemode="tozero")
    panels.axis(figure, "y", 0, tickvals=list(range(len(stages))), ticktext=stages, range=[len(stages) - 0.5, -0.5])
    caption = "Milliseconds over the run's answers; lines are 95% intervals where the run has them."
    return Picture("levels", "Latency by level", caption, figure, narrow)


def watched(points: Sequence[Point]) -> Picture | None:
    """Latency of each level over time, since the page has been watching; and answers a second."""
    times = [datetime.fromisoformat(point.written_at) for point in points if point.written_at]
    if len(times) < 3:
        return None
    figure, since = go.Figure(), [(at - times[0]).total_seconds() for at in times]
    keys = list(dict.fromkeys(key for point in points for key in point.latencies))
    for number, (variant, level) in enumerate(keys):
        style = LINES[number % len(LINES)]
        for index in (0, 1):
            values = [point.latencies.get((variant, level), (None, None))[index] for point in points]
            name = f"{variant} {level}"
            figure.add_trace(marks.line(index, since, values, style, name, False, index == 0, "%{y:.3g} ms"))
    rates = [
        (after.queries - before.queries) / (end - start) if end > start else None
        for before, after, start, end in zip(points, points[1:], since, since[1:], strict=False)
    ]
    figure.add_trace(
        marks.line(2, since[1:], rates, Style("#0072b2", "circle", "solid"), "answers a second", True, False)
    )
    x = "seconds watched"
    titles = (("p50 so far", "milliseconds"), ("p95 so far", "milliseconds"), ("throughput", "answers a second"))
    grid = Grid([Panel(title, 200, x, unit) for title, unit in titles], [[0, 1, 2]])
    narrow = grid.arrange(figure, legend=bool(keys))
    for index in range(3):
        panels.axis(figure, "y", index, rangemode="tozero")
    caption = "From the run's metrics file, since this page watches it. Percentiles are of the whole run up to then."
    return Picture("watched", "Latency and throughput while it goes on", caption, figure, narrow)
