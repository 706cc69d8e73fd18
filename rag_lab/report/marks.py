"""Lines, bands and points, as Plotly traces in one panel of a figure. `index` is the panel (see `panels`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from rag_lab.report import panels, wording
from rag_lab.report.style import Style, tint


def line(
    index: int,
    x: Any,
    y: Any,
    style: Style,
    name: str,
    strong: bool,
    legend: bool = True,
    shown: str = "%{y:.3f}",
) -> go.Scatter:
    """A curve in a variant's style; `shown` formats a value on hover."""
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        name=name,
        legendgroup=name,
        showlegend=legend,
        legendrank=1 if strong else 1000,  # Plotly's own default is 1000
        **panels.on(index),
        line={"color": style.colour, "dash": style.dash, "width": 3 if strong else 1.8},
        hovertemplate=f"{name}: {shown}<extra></extra>",
    )


def band(index: int, x: Any, low: Any, high: Any, colour: str, group: str, opacity: float = 0.14) -> go.Scatter:
    """The area between two curves; it hides and shows with the legend's `group`."""
    around, back = np.concatenate([x, np.asarray(x)[::-1]]), np.concatenate([high, np.asarray(low)[::-1]])
    return go.Scatter(
        x=around,
        y=back,
        mode="lines",
        line={"width": 0},
        fill="toself",
        hoverinfo="skip",
        fillcolor=tint(colour, opacity),
        legendgroup=group,
        showlegend=False,
        **panels.on(index),
    )


def point(
    index: int, row: int, value: float, low: float | None, high: float | None, style: Style, text: str
) -> go.Scatter:
    """A value in row `row` with its interval, if it has one; `text` heads what hovering shows."""
    bars = (
        None
        if low is None or high is None
        else {
            "type": "data",
            "symmetric": False,
            "array": [high - value],
            "arrayminus": [value - low],
            "thickness": 1.6,
            "width": 0,
        }
    )
    ends = wording.interval(low, high)
    return go.Scatter(
        x=[value],
        y=[row],
        mode="markers",
        error_x=bars,
        showlegend=False,
        **panels.on(index),
        marker={
            "color": style.colour,
            "symbol": style.symbol,
            "size": 9,
            "line": {"width": 1.6, "color": style.colour},
        },
        hovertemplate=f"{text}<br>{wording.score(value)} {ends}<extra></extra>",
    )
