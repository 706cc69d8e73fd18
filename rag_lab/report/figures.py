"""Figures of what a run found, as pure functions of the run: estimates and paired differences.

Each returns a `Picture`, or None where the run did not write what it would show. Scores are shares in
[0, 1] on the test split; intervals are the run's own 95% intervals. Dots, not bars: the axes do not start
at zero, and each panel has its own range unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, NamedTuple

import plotly.graph_objects as go

from rag_lab.report import marks, panels, wording
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import PRIMARY, Run
from rag_lab.report.style import NEUTRAL, Style, fold, styles

ACROSS = 4  # panels in a row: more would leave no room for an interval
ROW_HEIGHT, NARROW_ROW_HEIGHT = 25, 33  # pixels; names stand on two lines where it is narrow
FAR = 3  # a difference beyond this many times the family's median reach would squeeze all others
SHORT = 90  # a panel's least height in pixels


class Picture(NamedTuple):
    """A figure as the page shows it. `narrow`: the relayout that fits it to a phone (see `panels`)."""

    name: str
    title: str
    caption: str
    figure: go.Figure
    narrow: dict[str, Any]


def in_rows(count: int) -> list[list[int]]:
    """Panel numbers in rows of at most `ACROSS`, as even as they can be."""
    rows = -(-count // ACROSS)
    each = -(-count // rows)
    return [list(range(at, min(at + each, count))) for at in range(0, count, each)]


def estimates(run: Run, metric: str) -> Picture | None:
    """Every variant's score with its interval, the mean over domains first, then each domain."""
    rows = [variant for variant in run.order if metric in run.variants[variant]]
    if not rows:
        return None
    look, places = styles(run), (None, *run.domains)
    grid = Grid(
        [_panel(place or "mean", wording.label(metric), len(rows)) for place in places],
        in_rows(len(places)),
        shared_y=True,
    )
    figure = go.Figure()
    for index, place in enumerate(places):
        for row, variant in enumerate(rows):
            estimate = run.estimate(variant, metric, place)
            if estimate.value is None:
                continue
            if variant == run.treatment:
                panels.line(figure, index, x=estimate.value, colour=look[variant].colour)
            figure.add_trace(
                marks.point(
                    index,
                    row,
                    estimate.value,
                    estimate.low,
                    estimate.high,
                    look[variant],
                    f"{variant}<br>{place or 'mean over domains'}",
                )
            )
        ceilings = sum(variant in run.ceilings for variant in rows)
        if 0 < ceilings < len(rows):
            panels.line(figure, index, y=len(rows) - ceilings - 0.5, dash="solid")
    narrow = grid.arrange(figure, legend=False)
    names = [_name(variant, run) for variant in rows]
    narrow |= _name_rows(figure, names, [fold(name) for name in names], len(places))
    caption = (
        f"Each mark is a variant's {wording.label(metric)} on the test queries with its 95% interval"
        f"{_resamples(run)}. Intervals here are of each variant alone and may overlap where the paired "
        "difference, further down, is clear."
    )
    if run.treatment in rows:
        caption += f" The dotted line marks {run.treatment}."
    if run.ceilings:
        caption += " Grey diamonds below the rule are ceilings: they pick with hindsight."
    return Picture(
        metric.split("/")[-1].replace("_at_10", ""),
        f"{wording.label(metric)} by variant",
        caption,
        figure,
        narrow,
    )


def differences(run: Run, family: str, metric: str) -> Picture | None:
    """The paired differences of one family and metric, as a forest plot with a panel per domain."""
    chosen = [row for row in run.family(family) if row["metric"] == metric]
    if not chosen:
        return None
    look = styles(run)
    pairs = list(dict.fromkeys((row["treatment"], row["baseline"]) for row in chosen))
    places = sorted(dict.fromkeys(row["domain"] for row in chosen), key=lambda place: place != "mean")
    unit = f"difference in {wording.label(metric)}"
    grid = Grid([_panel(place, unit, len(pairs)) for place in places], in_rows(len(places)), shared_y=True)
    ranked = metric.startswith("retrieval/")
    near = chosen if family == PRIMARY else _near(chosen)  # what decides is drawn to scale, however far out
    ends = [0.0, -wording.MARGIN if ranked else 0.0]
    ends += [row[end] for row in near for end in ("ci_low", "ci_high")]
    pad = 0.06 * (max(ends) - min(ends)) or 1.0
    low, high = min(ends) - pad, max(ends) + pad
    figure = go.Figure()
    for index, place in enumerate(places):
        if ranked:
            panels.line(figure, index, x=-wording.MARGIN)
        panels.axis(figure, "x", index, range=[low, high], nticks=4)
        for row in (row for row in chosen if row["domain"] == place):
            style = look.get(row["baseline"], Style(NEUTRAL, "circle", "solid"))
            at = pairs.index((row["treatment"], row["baseline"]))
            text = f"{row['treatment']} − {row['baseline']}, {place}<br>{wording.p_value(row['p_adjusted'])}"
            if row in near:
                shown = wording.conclude(row) in ("better", "worse")
                mark = style._replace(symbol="circle" if shown else "circle-open")
                figure.add_trace(marks.point(index, at, row["difference"], row["ci_low"], row["ci_high"], mark, text))
            else:
                figure.add_trace(_far(index, at, row, low, high, style.colour, text))
    narrow = grid.arrange(figure, legend=False)
    for index in range(len(places)):
        panels.axis(figure, "x", index, zeroline=True, zerolinecolor=NEUTRAL, zerolinewidth=1.3)
    several = len({treatment for treatment, _ in pairs}) > 1
    names = [f"{treatment} − {baseline}" if several else f"− {baseline}" for treatment, baseline in pairs]
    narrow |= _name_rows(figure, names, [fold(name) for name in names], len(places))
    treated = "treatment" if several else chosen[0]["treatment"]
    caption = (
        f"{treated} minus each reference, paired query by query, with 95% intervals{_resamples(run)}. "
        "Right of zero is more; a filled mark is significant after Holm's correction within this family."
    )
    if ranked:
        caption += f" An interval wholly right of the dotted line (−{wording.MARGIN}) is “not worse”."
    if len(near) < len(chosen):
        caption += " An arrow at the edge stands for a difference further out, of the size written beside it."
    kind = "Primary" if family == PRIMARY else "Exploratory"
    number = run.families.index(family)
    return Picture(
        f"difference-{number}-{metric.split('/')[-1]}",
        f"{kind}: paired differences in {wording.label(metric)}",
        caption,
        figure,
        narrow,
    )


def metrics_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The metrics that comparisons speak of, each once, in order."""
    return list(dict.fromkeys(row["metric"] for row in rows))


def _panel(place: str, x_title: str, rows: int) -> Panel:
    return Panel(
        "mean over domains" if place == "mean" else place,
        max(SHORT, ROW_HEIGHT * rows),
        x_title,
        "",
        max(SHORT, NARROW_ROW_HEIGHT * rows),
    )


def _near(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The comparisons that a forest draws to scale: within `FAR` medians, or among the intervals of those."""
    reach = FAR * median(max(abs(row["ci_low"]), abs(row["ci_high"])) for row in rows)
    near = []
    for row in sorted(rows, key=lambda row: abs(row["difference"])):
        if abs(row["difference"]) <= reach:
            reach = max(reach, abs(row["ci_low"]), abs(row["ci_high"]))
            near.append(row)
    return near


def _far(index: int, at: int, row: Mapping[str, Any], low: float, high: float, colour: str, text: str) -> go.Scatter:
    right = row["difference"] > 0
    value = wording.signed(row["difference"])
    return go.Scatter(
        x=[high if right else low],
        y=[at],
        mode="markers+text",
        showlegend=False,
        cliponaxis=False,
        text=[f"{value} " if right else f" {value}"],
        textposition="middle left" if right else "middle right",
        textfont={"size": 11},
        marker={"color": colour, "symbol": "triangle-right" if right else "triangle-left", "size": 10},
        hovertemplate=f"{text}<br>{value}<extra></extra>",
        **panels.on(index),
    )


def _name_rows(figure: go.Figure, names: Sequence[str], folded: Sequence[str], count: int) -> dict[str, Any]:
    narrow = {}
    for index in range(count):
        panels.axis(
            figure,
            "y",
            index,
            tickvals=list(range(len(names))),
            ticktext=list(names),
            range=[len(names) - 0.5, -0.5],
            showgrid=False,
            tickfont={"size": 12},
        )
        narrow[panels.axis_key("y", index, "ticktext")] = list(folded)
        panels.axis(figure, "x", index, nticks=4)
    return narrow


def _name(variant: str, run: Run) -> str:
    return f"<b>{variant}</b>" if variant == run.treatment else variant


def _resamples(run: Run) -> str:
    count = run.setting("resamples")
    return f" ({count:,} bootstrap resamples of clusters)" if isinstance(count, int) else ""
