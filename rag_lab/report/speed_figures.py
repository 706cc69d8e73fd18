"""Figures of the live pipeline: latencies by stage, throughput by batch, what the filter saves.

Pure functions of a run that wrote the curve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

from rag_lab.report import panels
from rag_lab.report.figures import Picture
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.style import NEUTRAL, TREATMENT, Style, styles

# In the order in which an answer passes them.
STAGES = {
    "l2": "l2 embed, detect",
    "l4": "l4 choose, learn",
    "l1": "l1 search",
    "l3": "l3 answer",
    "filter": "filter feedback",
    "e2e": "e2e end to end",
}
SHARES = {"p50": "circle", "p95": "square", "p99": "diamond"}
PLAIN = Style("#0072b2", "circle", "solid")  # of a run with a single pipeline, and of what has no treatment
SPREAD, STEP = 0.84, 0.08  # in rows: of a stage's pipelines, and between the percentiles of one
ROW_PX = 28  # for each pipeline in a stage's row


def stages(curve: Mapping[str, Any]) -> dict[str, str]:
    """The stages that ran, in words; one in which nothing was done has no time, not 0."""
    return {stage: words for stage, words in STAGES.items() if stage in curve["stages"]}


def profile(run: Run) -> Picture:
    """Every stage's percentiles with their intervals, on a logarithmic axis; pipelines side by side."""
    curve, figure = run.curves["profile"], go.Figure()
    variants, ran = list(curve["variants"]), stages(curve)
    look = styles(run)
    ends: list[float] = []
    for place, variant in enumerate(variants):
        style = look[variant] if len(variants) > 1 else PLAIN
        shift = SPREAD / len(variants) * (place - (len(variants) - 1) / 2)
        for number, (share, symbol) in enumerate(SHARES.items()):
            found = [curve["variants"][variant][stage][share] for stage in ran]
            ends += [end for one in found for end in one]
            name = f"{variant}, {share}"
            figure.add_trace(
                go.Scatter(
                    x=[value for value, _, _ in found],
                    y=[row + shift + STEP * (number - 1) for row in range(len(found))],
                    error_x=_bars(found),
                    mode="markers",
                    name=name,
                    marker={"symbol": symbol, "size": 8, "color": style.colour},
                    customdata=[f"{low:.3g}–{high:.3g}" for _, low, high in found],
                    hovertemplate=f"{name}: %{{x:.3g}} ms, 95% %{{customdata}}<extra></extra>",
                    **panels.on(0),
                )
            )
    grid = Grid([Panel(None, max(2, len(variants)) * ROW_PX * len(ran), "milliseconds, logarithmic scale", "")], [[0]])
    narrow = grid.arrange(figure, legend=True)
    low, high = math.floor(math.log10(min(ends))), math.ceil(math.log10(max(ends)))
    ticks = [10.0**power for power in range(low, high + 1)]
    panels.axis(figure, "x", 0, type="log", range=[low, high], tickvals=ticks, ticktext=[f"{one:g}" for one in ticks])
    words = list(ran.values())
    panels.axis(
        figure, "y", 0, tickvals=list(range(len(words))), ticktext=words, range=[len(words) - 0.5, -0.5],
        showgrid=False,
    )  # fmt: skip
    narrow[panels.axis_key("y", 0, "ticktext")] = list(ran)
    caption = (
        "The 50th, 95th and 99th percentile of each stage's time in an answer, with 95% intervals. The axis is "
        "logarithmic: equal distances are equal ratios. Pipelines answered the same requests in turn."
    )
    return Picture("profile", "Latency by stage", caption, figure, narrow)


def batching(run: Run) -> Picture:
    """Queries a second by batch size."""
    curve, figure = run.curves["batching"], go.Figure()
    sizes = [int(size) for size in curve["queries_per_s"]]
    found = list(curve["queries_per_s"].values())
    figure.add_trace(
        go.Scatter(
            x=list(range(len(sizes))),
            y=[value for value, _, _ in found],
            error_y=_bars(found),
            mode="markers+lines",
            marker={"size": 9, "color": TREATMENT.colour},
            line={"color": TREATMENT.colour, "width": 1.5, "dash": "dot"},
            showlegend=False,
            hovertemplate="%{y:.4g} queries/s<extra></extra>",
            **panels.on(0),
        )
    )
    grid = Grid([Panel(None, 260, "queries in a batch", "queries a second")], [[0]])
    narrow = grid.arrange(figure, legend=False)
    names = ["one at a time", *map(str, sizes[1:])]
    panels.axis(figure, "x", 0, tickvals=list(range(len(sizes))), ticktext=names)
    panels.axis(figure, "y", 0, rangemode="tozero")
    caption = (
        "Detection of real queries, text in, label out: medians of rounds in which all sizes took turns, with 95% "
        "intervals. A batch is padded to its longest query and to a compiled number of rows, hence the dents."
    )
    return Picture("batching", "What batches bring", caption, figure, narrow)


def effect(run: Run) -> Picture:
    """Regret with and without the filter by the share of dishonest users, and what is saved."""
    curve, figure = run.curves["effect"], go.Figure()
    noise = [100 * level["noise"] for level in curve["levels"]]
    without = Style(NEUTRAL, "square", "dash")
    saved = Style("#009e73", "diamond", "solid")
    for index, key, name, style in (
        (0, "without", "without a filter", without),
        (0, "filtered", f"with the {curve['filter']} filter", TREATMENT),
        (1, "saved", "saved", saved),
    ):
        found = [level[key] for level in curve["levels"]]
        figure.add_trace(
            go.Scatter(
                x=noise,
                y=[value for value, _, _ in found],
                error_y=_bars(found),
                mode="markers+lines",
                name=name,
                showlegend=index == 0,
                marker={"symbol": style.symbol, "size": 9, "color": style.colour},
                line={"color": style.colour, "width": 1.8, "dash": style.dash},
                hovertemplate=f"{name}: %{{y:.3g}}<extra></extra>",
                **panels.on(index),
            )
        )
    x_title = "dishonest users, %"
    grid = Grid(
        [Panel("regret", 260, x_title, "cumulative regret"), Panel("saved by the filter", 260, x_title, "regret")],
        [[0, 1]],
    )
    narrow = grid.arrange(figure, legend=True)
    for index in range(2):
        panels.axis(figure, "x", index, tickvals=noise)
    panels.axis(figure, "y", 0, rangemode="tozero")
    panels.line(figure, 1, y=0, dash="solid")
    caption = (
        f"A Thompson bandit learns α from simulated readers of real judged lists; {curve['seeds']:,} seeds, "
        f"{curve['queries_per_domain']:,} queries a domain. Left: the reward it forwent, summed over domains. "
        "Right: the paired difference; above the line the filter pays, below it costs. 95% intervals."
    )
    return Picture("effect", "What the filter is for", caption, figure, narrow)


def _bars(found: Any) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - value for value, _, high in found],
        "arrayminus": [value - low for value, low, _ in found],
        "thickness": 1.6,
        "width": 0,
    }
