"""Figures that reports do not have: cost against quality, paired differences on one scale, the router's plane.

Each returns a `Picture` as the report's figures do, or None where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from rag_lab.report import marks, panels, wording
from rag_lab.report.figures import Picture
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import PRIMARY, RECALL, USD, Run
from rag_lab.report.style import NEUTRAL, SPARE, STANDING, TREATMENT, styles

ALPHA_TITLE, STEPS_TITLE = "α (BM25 weight)", "queries seen, all domains"
LEGEND_ROW = 17  # pixels
LINES = (TREATMENT, *STANDING.values(), *SPARE)


def focus(run: Run) -> Run:
    """The run with the variants that a first look needs: the one under test, its references, plain ones, ceilings."""
    wanted = {run.treatment, *STANDING, *run.ceilings, *(row["baseline"] for row in run.family(PRIMARY))}
    kept = {variant: values for variant, values in run.variants.items() if variant in wanted}
    return replace(run, summary={**run.summary, "variants": kept}) if kept else run


def paired(rows: Sequence[Mapping[str, Any]], metric: str, of: str) -> Picture:
    """Paired differences in one metric on one scale, a row for each domain and pair. of: what minus what, in words."""
    told = sorted((row for row in rows if row["metric"] == metric), key=lambda row: row["domain"] != "mean")
    figure, unit = go.Figure(), wording.label(metric)
    for at, row in enumerate(told):
        shown = wording.conclude(row) in ("better", "worse")
        style = LINES[1]._replace(symbol="circle" if shown else "circle-open")
        text = f"{row['domain']}, {row['n']:,} queries<br>{wording.p_value(row['p_adjusted'])} after Holm"
        mark = marks.point(0, at, row["difference"], row["ci_low"], row["ci_high"], style, text)
        ends = wording.interval(row["ci_low"], row["ci_high"], wording.number)
        figure.add_trace(
            mark.update(hovertemplate=f"{text}<br>{wording.number(row['difference'])} {ends}<extra></extra>")
        )
    grid = Grid([Panel(None, 34 * len(told), f"difference in {unit}", "")], [[0]])
    narrow = grid.arrange(figure, legend=False)
    several = len({row["baseline"] for row in told}) > 1
    names = [
        ("mean over domains" if row["domain"] == "mean" else row["domain"])
        + (f" − {row['baseline']}" if several else "")
        for row in told
    ]
    panels.axis(figure, "y", 0, tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5])
    panels.axis(figure, "x", 0, zeroline=True, zerolinecolor=NEUTRAL, exponentformat="none", nticks=7)
    narrow[panels.axis_key("x", 0, "nticks")] = 4
    caption = f"{of}, paired query by query, with 95% intervals (clusters resampled). Left of zero is less."
    if metric.startswith("retrieval/"):
        panels.line(figure, 0, x=-wording.MARGIN)
        caption += f" An interval wholly right of the dotted line (−{wording.MARGIN}) is “not worse”."
    caption += " A filled mark is significant after Holm's correction."
    return Picture(f"paired-{metric.split('/')[-1]}", f"Paired difference in {unit}", caption, figure, narrow)


def tradeoff(run: Run) -> Picture | None:
    """recall@10 against cost, a mark for each variant, with both intervals."""
    look, figure = styles(run), go.Figure()
    for variant in run.order:
        cost, recall = run.estimate(variant, USD), run.estimate(variant, RECALL)
        if cost.value is None or recall.value is None:
            continue
        style = look[variant]
        figure.add_trace(
            go.Scatter(
                x=[cost.value],
                y=[recall.value],
                error_x=_bars([cost]),
                error_y=_bars([recall]),
                mode="markers",
                name=variant,
                marker={
                    "color": style.colour,
                    "symbol": style.symbol,
                    "size": 10,
                    "line": {"width": 1.6, "color": style.colour},
                },
                hovertemplate=f"{variant}<br>recall@10 {wording.score(recall.value)} "
                f"{wording.interval(recall.low, recall.high)}<br>{wording.usd(cost.value)} USD per 1,000 queries "
                f"{wording.interval(cost.low, cost.high, wording.usd)}<extra></extra>",
                **panels.on(0),
            )
        )
    if not figure.data:
        return None
    narrow = Grid([Panel(None, 340, "USD per 1,000 queries", "recall@10")], [[0]]).arrange(figure, legend=True)
    names = LEGEND_ROW * len(figure.data)  # one below the other on a phone
    narrow |= {
        "height": narrow["height"] + names,
        "margin.t": narrow["margin.t"] + names,
        "legend.maxheight": 2 * names,
    }
    caption = (
        "Test queries, mean over domains, with 95% intervals both ways: further up is better, further left is cheaper. "
        "Neither axis starts at zero. Intervals are of each variant alone; paired differences are sharper."
    )
    return Picture("tradeoff", "Quality and cost", caption, figure, narrow)


def pareto(run: Run, step: int) -> Picture | None:
    """Quality against cost of every action, and how often the router takes each under one preference."""
    drawn = run.curves.get("economy") or {}
    if not {"objectives", "front", "steps", "labels"} <= set(drawn):
        return None
    chosen, figure = drawn["steps"][step], go.Figure()
    cost, quality = ([row[column] for row in drawn["objectives"]] for column in (0, 1))
    for name, on, style in (("dominated", False, LINES[1]), ("not dominated", True, LINES[0])):
        picked = [at for at, front in enumerate(drawn["front"]) if bool(front) is on]
        figure.add_trace(
            go.Scatter(
                x=[cost[at] for at in picked],
                y=[quality[at] for at in picked],
                mode="markers",
                name=name,
                text=[f"{drawn['labels'][at]}<br>{chosen['share'][at]:.0%} of answers" for at in picked],
                marker={
                    "color": style.colour,
                    "symbol": style.symbol,
                    "size": [5 + 26 * chosen["share"][at] ** 0.5 for at in picked],
                },
                hovertemplate="%{text}<br>%{x:.3g} USD per 1,000, quality %{y:.3f}<extra></extra>",
                **panels.on(0),
            )
        )
    narrow = Grid([Panel(chosen["label"], 360, "USD per 1,000 queries, logarithmic scale", "quality")], [[0]]).arrange(
        figure, legend=True
    )
    panels.axis(figure, "x", 0, type="log")
    caption = (
        "Every action's mean cost and quality on the test queries. A larger mark is taken more often, under "
        "the preference that stands above. Not dominated in cost, quality and diversity together."
    )
    return Picture("pareto", "What the router takes", caption, figure, narrow)


def _bars(found: Sequence[Any]) -> dict[str, Any] | None:
    if any(one.low is None or one.high is None for one in found):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [one.high - one.value for one in found],
        "arrayminus": [one.value - one.low for one in found],
        "thickness": 1.4,
        "width": 0,
    }
