"""Cost against quality: what single actions can have, what the router can, and where every router stands.

A pure function of a run of the economy. Cost is in US dollars per 1,000 answers, on a logarithmic axis, since tiers
differ in price by powers of ten; a mix of two points, a straight line on a linear axis, is bent on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float

from rag_lab.report import marks, panels, wording
from rag_lab.report.figures import Picture
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.sheet import Sheet
from rag_lab.report.style import NEUTRAL, TREATMENT, Style, styles, tint

COST, QUALITY = "cost/usd_per_1k_queries", "answer/quality"
HULLS = {
    "router": ("the router, over preferences", Style(TREATMENT.colour, "circle", "solid")),
    "singles": ("single actions", Style(NEUTRAL, "circle", "dash")),
}
COLUMNS = (
    ("USD per 1,000", COST, wording.usd),
    ("quality", QUALITY, wording.score),
    ("covered", "answer/coverage", wording.score),
    ("diversity", "diversity/evidence", wording.score),
    ("off the front", "pareto/wasted_share", wording.score),
)
BENDS = 24  # points of a line between two corners, so that it bends as it should
HEIGHT = 420  # pixels


def sheet(run: Run) -> Sheet | None:
    """What every router spent and what that brought; None for a run whose variants are no routers."""
    rows = [
        [f"▸ {variant}" if variant == run.treatment else variant, *(_cell(run, variant, *one) for one in COLUMNS)]
        for variant in run.order
        if COST in run.variants[variant] and QUALITY in run.variants[variant]
    ]
    if not rows:
        return None
    return Sheet(
        "Routers",
        "Test queries, means over domains, with 95% intervals of each router alone. Off the front: share of "
        "answers by actions that the router under test believed to be dominated.",
        ["router", *(head for head, _, _ in COLUMNS)],
        rows,
    )


def _cell(run: Run, variant: str, head: str, metric: str, write: Callable[[float | None], str]) -> str:
    found = run.estimate(variant, metric)
    ends = wording.interval(found.low, found.high, write) if metric in (COST, QUALITY) else ""
    return f"{write(found.value)} {ends}".strip()


def plane(run: Run) -> Picture | None:
    """The figure; None for a run without routers."""
    drawn = run.curves.get("economy")
    if drawn is None:
        return None
    figure, look = go.Figure(), styles(run)
    cost, quality, _ = np.array(drawn["objectives"]).T
    figure.add_trace(
        go.Scatter(
            x=cost,
            y=quality,
            mode="markers",
            name="an action",
            text=drawn["labels"],
            marker={"color": tint(NEUTRAL, 0.6), "size": 6},
            hovertemplate="%{text}<br>%{x:.3g} USD per 1,000, quality %{y:.3f}<extra></extra>",
            **panels.on(0),
        )
    )
    for kind, (name, style) in HULLS.items():
        x, y = _mixed(drawn["hulls"][kind])
        figure.add_trace(marks.line(0, x, y, style, name, strong=kind == "router"))
    for variant in run.order:
        if QUALITY in run.variants[variant] and COST in run.variants[variant]:
            figure.add_trace(_router(run, variant, look[variant]))
    grid = Grid([Panel(None, HEIGHT, "USD per 1,000 answers, logarithmic scale", "quality of answers")], [[0]])
    narrow = grid.arrange(figure, legend=True)
    panels.axis(figure, "x", 0, type="log", tickvals=_ticks(cost))
    caption = (
        "Means over the test queries' domains. Lines are what mixes of two can have: of single actions, and of the "
        "router's preferences; a line further up and to the left is worth more. Bars are 95% intervals of each router "
        "alone; the paired differences say more."
    )
    return Picture("cost-quality", "Cost and quality", caption, figure, narrow)


def _ticks(cost: Float[np.ndarray, " A"]) -> list[float]:
    """1, 2 and 5 of every power of ten that a cost has: a logarithmic axis would label them `2` and `5`."""
    powers = range(int(np.floor(np.log10(cost.min()))), int(np.ceil(np.log10(cost.max()))) + 1)
    return [digit * 10.0**power for power in powers for digit in (1, 2, 5)]


def _mixed(corners: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The hull's line, with points between its corners."""
    place = np.linspace(0, len(corners) - 1, BENDS * (len(corners) - 1) + 1)
    cost, quality = (
        np.interp(place, np.arange(len(corners)), [corner[key] for corner in corners]) for key in ("cost", "quality")
    )
    return cost, quality


def _router(run: Run, variant: str, style: Style) -> go.Scatter:
    bars, said = {}, []
    for axis, metric in (("x", COST), ("y", QUALITY)):
        found = run.estimate(variant, metric)
        assert found.value is not None
        said.append(f"{metric} {wording.score(found.value)} {wording.interval(found.low, found.high)}")
        if found.low is not None and found.high is not None:
            bars[f"error_{axis}"] = {
                "type": "data",
                "symmetric": False,
                "array": [found.high - found.value],
                "arrayminus": [found.value - found.low],
                "thickness": 1.4,
                "width": 0,
            }
    return go.Scatter(
        x=[run.variants[variant][COST]],
        y=[run.variants[variant][QUALITY]],
        mode="markers",
        name=variant,
        marker={"color": style.colour, "symbol": style.symbol, "size": 10},
        hovertemplate=f"{variant}<br>{'<br>'.join(said)}<extra></extra>",
        **bars,
        **panels.on(0),
    )
