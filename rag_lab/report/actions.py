"""The router's actions in the space of its objectives: what is dominated, the front, the ideal, and what is chosen.

A figure from plain arrays, in three dimensions, with a slider over preferences. A dot's shape and colour are its
tier; the rings are the actions chosen under the preference of the slider, the larger the more queries get them.

Shapes: A actions. Cost is in US dollars per 1,000 answers; quality and diversity are shares in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Bool, Float

from rag_lab.report.figures import Picture
from rag_lab.report.run import Run
from rag_lab.report.style import FAMILY, NEUTRAL, SPARE, STANDING, TREATMENT, tint

AXES = ("cost, USD per 1,000", "quality", "diversity")
HEIGHT, NARROW_HEIGHT = 620, 560  # pixels, the slider's included
DOT, RING = 6, (16, 40)  # pixels: a dot; the rings of the rarest and of the only choice
# Plotly has few shapes in three dimensions; each tier also has a colour of its own.
TIERS = (
    (STANDING["static"].colour, "circle"),
    (STANDING["static_tuned"].colour, "diamond"),
    (SPARE[0].colour, "square"),
    (SPARE[1].colour, "x"),
)
SLIDER = "preference: "


class Step(NamedTuple):
    """One place of the slider: what is preferred, in words, and the share of queries that get each action."""

    label: str
    share: Float[np.ndarray, " A"]


def chosen(run: Run) -> Picture | None:
    """The figure of a run of the economy; None for any other run."""
    drawn = run.curves.get("economy")
    if drawn is None:
        return None
    steps = [Step(one["label"], np.array(one["share"])) for one in drawn["steps"]]
    objectives, front = np.array(drawn["objectives"]), np.array(drawn["front"], bool)
    return scatter(drawn["labels"], drawn["tiers"], objectives, front, steps, drawn["start"])


def scatter(
    labels: Sequence[str],
    tiers: Sequence[str],
    objectives: Float[np.ndarray, "A 3"],
    front: Bool[np.ndarray, " A"],
    steps: Sequence[Step],
    start: int,
) -> Picture:
    """The figure. objectives: cost, quality and diversity of each action, means of the test queries; front: which
    of them nothing dominates; start: the step that is shown first.
    """
    figure = go.Figure()
    for number, tier in enumerate(dict.fromkeys(tiers)):
        colour, symbol = TIERS[number % len(TIERS)]
        own = np.array([one == tier for one in tiers])
        for among, name, marker in (
            (own & front, tier, {"color": colour, "symbol": symbol, "size": DOT}),
            (own & ~front, f"{tier}, dominated", {"color": tint(NEUTRAL, 0.55), "symbol": symbol, "size": DOT - 2}),
        ):
            if among.any():
                figure.add_trace(
                    _dots(objectives[among], [labels[row] for row in np.flatnonzero(among).tolist()], name, marker)
                )
    ideal = np.array([objectives[:, 0].min(), *objectives[:, 1:].max(axis=0)])
    star = {"color": NEUTRAL, "symbol": "cross", "size": DOT + 3}
    figure.add_trace(_dots(ideal[None], ["the best of every objective, which no action has"], "ideal point", star))
    chosen = [_chosen(labels, objectives, step) for step in steps]
    figure.add_trace(
        go.Scatter3d(
            **{key: value[0] for key, value in chosen[start].items() if key != "marker.size"},
            name="chosen",
            mode="markers",
            marker={"size": chosen[start]["marker.size"][0], "color": TREATMENT.colour, "symbol": "circle-open"},
            hovertemplate="%{text}<extra>chosen</extra>",
        )
    )
    _arrange(figure, steps, chosen, start)
    return Picture(
        "actions",
        "What the router chooses from, and what it chooses",
        "Each dot is an action at its mean over the test queries; grey ones are dominated by another action on "
        "average, though not on every query. Rings are the choices under the preference of the slider; the larger "
        "the ring, the more queries. Drag to turn.",
        figure,
        {"height": NARROW_HEIGHT, "scene.camera.eye": {"x": 1.9, "y": 1.9, "z": 0.9}, "legend.y": 1.02},
    )


def _dots(objectives: Float[np.ndarray, "A 3"], texts: list[str], name: str, marker: dict[str, Any]) -> go.Scatter3d:
    x, y, z = objectives.T
    return go.Scatter3d(
        x=x,
        y=y,
        z=z,
        text=texts,
        name=name,
        mode="markers",
        marker=marker,
        hovertemplate="%{text}<br>%{x:.3g} USD per 1,000<br>quality %{y:.3f}<br>diversity %{z:.3f}<extra></extra>",
    )


def _chosen(labels: Sequence[str], objectives: Float[np.ndarray, "A 3"], step: Step) -> dict[str, list[Any]]:
    """What the slider changes of the rings, as a Plotly restyle: each value in a list of one trace."""
    rows = np.flatnonzero(step.share > 0).tolist()
    small, large = RING
    return {
        **{axis: [objectives[rows, place].tolist()] for place, axis in enumerate("xyz")},
        "text": [[f"{labels[row]}<br>{step.share[row]:.0%} of queries" for row in rows]],
        "marker.size": [(small + (large - small) * np.sqrt(step.share[rows])).tolist()],
    }


def _arrange(figure: go.Figure, steps: Sequence[Step], chosen: Sequence[dict[str, list[Any]]], start: int) -> None:
    rings = len(figure.data) - 1
    wall = {"gridcolor": NEUTRAL, "showbackground": False, "zeroline": False, "showspikes": False}
    axes = {
        f"{axis}axis": {**wall, "title": {"text": title, "font": {"size": 12.5}}, "nticks": 5}
        for axis, title in zip("xyz", AXES, strict=True)
    }
    axes["xaxis"]["type"] = "log"  # tiers differ in price by powers of ten
    figure.update_layout(
        font={"family": FAMILY, "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        height=HEIGHT,
        margin={"l": 0, "r": 0, "t": 10, "b": 10},
        hoverlabel={"font": {"family": FAMILY}},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "itemsizing": "constant"},
        scene={**axes, "aspectmode": "cube", "camera": {"eye": {"x": 1.5, "y": 1.5, "z": 0.8}}},
        sliders=[
            {
                "active": start,
                "currentvalue": {"prefix": SLIDER, "font": {"size": 13}},
                "font": {"size": 1},  # of the steps' names, which would lie over each other; the current one is above
                "pad": {"t": 12, "b": 6},
                "x": 0.02,
                "len": 0.96,
                "steps": [
                    {"label": step.label, "method": "restyle", "args": [change, [rings]]}
                    for step, change in zip(steps, chosen, strict=True)
                ],
            }
        ],
    )
