"""Where the panels of a figure stand: side by side on a desk, one below the other on a phone.

A figure's own layout is the wide one. `Grid.arrange` returns the changes that make it narrow, as the dotted
keys of a Plotly relayout (`{"xaxis2.domain": [0, 1], "height": 900}`); the page applies them by the width
of the window. Heights and gaps are in pixels, domains in shares of the plotting area.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import plotly.graph_objects as go

from rag_lab.report.style import FAMILY, NEUTRAL

GAP_X, GAP_X_SHARED = 0.075, 0.04  # shares of the width, with an axis' numbers in the gap and without
NUMBERS, TITLE, HEADING = 34, 20, 26  # pixels between rows: an axis' numbers, its title, the next heading
TOP, BOTTOM = 30, 50


class Panel(NamedTuple):
    """One panel: heading (None for none), height in pixels, axis titles; its height on a phone if other."""

    title: str | None
    height: int
    x_title: str
    y_title: str
    narrow_height: int | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Panels in the order of the narrow arrangement; `wide` holds their rows, by index, for the wide one."""

    panels: Sequence[Panel]
    wide: Sequence[Sequence[int]]
    shared_y: bool = False

    def arrange(self, figure: go.Figure, legend: bool) -> dict[str, Any]:
        """Set domains, headings and titles in `figure`'s layout; return the changes for a narrow window."""
        wide = self._changes(self.wide, [panel.height for panel in self.panels], shared_y=self.shared_y)
        narrow = self._changes(
            [[index] for index in range(len(self.panels))],
            [panel.narrow_height or panel.height for panel in self.panels],
            shared_y=False,
        )
        head = 44 if legend else 0
        for changes in (wide, narrow):
            inner = changes["height"] - TOP - BOTTOM
            changes["height"] += head
            changes["margin.t"] = TOP + head
            if legend:
                changes["legend.y"] = 1 + (26 if self.panels[0].title else 6) / inner
        for index, panel in enumerate(self.panels):
            x, y = _name("x", index), _name("y", index)
            figure.update_layout(
                {
                    axis: {
                        "anchor": anchor,
                        "zeroline": False,
                        "automargin": True,
                        "ticks": "outside",
                        "tickcolor": "rgba(0,0,0,0)",
                        "ticklen": 4,
                        "title": {"standoff": 8, "font": {"size": 12.5}},
                    }
                    for axis, anchor in ((_long(x), y), (_long(y), x))
                }
            )
            if panel.title:
                figure.add_annotation(
                    text=f"<b>{panel.title}</b>",
                    xref=f"{x} domain",
                    yref=f"{y} domain",
                    x=0,
                    y=1,
                    xanchor="left",
                    yanchor="bottom",
                    yshift=6,
                    showarrow=False,
                )
        figure.update_layout(
            font={"family": FAMILY, "size": 13},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
            margin={"l": 10, "r": 14, "b": BOTTOM},
            showlegend=legend,
            hoverlabel={"font": {"family": FAMILY}},
            legend={"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom", "itemwidth": 44},
        )
        figure.update_layout({key.replace(".", "_"): value for key, value in wide.items()})
        return narrow

    def _changes(
        self, rows: Sequence[Sequence[int]], panel_heights: Sequence[int], *, shared_y: bool
    ) -> dict[str, Any]:
        heights = [max(panel_heights[index] for index in row) for row in rows]
        gaps = [
            NUMBERS
            + TITLE * any(self.panels[index].x_title for index in row)
            + HEADING * any(self.panels[index].title for index in below)
            for row, below in zip(rows, [*rows[1:], ()], strict=True)
        ]
        inner = sum(heights) + sum(gaps[:-1])
        changes: dict[str, Any] = {"height": inner + TOP + BOTTOM}
        top = float(inner)
        gap = GAP_X_SHARED if shared_y else GAP_X
        for row, height, gap_y in zip(rows, heights, gaps, strict=True):
            width = (1 - gap * (len(row) - 1)) / len(row)
            for column, index in enumerate(row):
                x, y = _long(_name("x", index)), _long(_name("y", index))
                left, first = column * (width + gap), column == 0
                changes[f"{x}.domain"] = [left, min(1.0, left + width)]
                changes[f"{y}.domain"] = [max(0.0, (top - height) / inner), top / inner]
                changes[f"{x}.title.text"] = self.panels[index].x_title
                changes[f"{y}.title.text"] = self.panels[index].y_title if first else ""
                changes[f"{y}.showticklabels"] = first or not shared_y
            top -= height + gap_y
        return changes


def on(index: int) -> dict[str, str]:
    """The axes of panel `index`, for a trace."""
    return {"xaxis": _name("x", index), "yaxis": _name("y", index)}


def line(
    figure: go.Figure,
    index: int,
    *,
    x: float | None = None,
    y: float | None = None,
    dash: str = "dot",
    colour: str = NEUTRAL,
) -> None:
    """A rule right across panel `index`, at `x` or at `y`, behind the data."""
    across = {"xref": _name("x", index), "yref": _name("y", index)}
    if x is not None:
        ends = {**across, "yref": f"{across['yref']} domain", "x0": x, "x1": x, "y0": 0, "y1": 1}
    else:
        ends = {**across, "xref": f"{across['xref']} domain", "x0": 0, "x1": 1, "y0": y, "y1": y}
    figure.add_shape(type="line", layer="below", line={"color": colour, "width": 1.3, "dash": dash}, **ends)


def axis(figure: go.Figure, letter: str, index: int, **settings: Any) -> None:
    """Change one axis ("x" or "y") of panel `index`."""
    figure.update_layout({_long(_name(letter, index)): settings})


def axis_key(letter: str, index: int, key: str) -> str:
    """The dotted key of one axis' setting, for the narrow changes."""
    return f"{_long(_name(letter, index))}.{key}"


def _name(letter: str, index: int) -> str:
    return letter if index == 0 else f"{letter}{index + 1}"


def _long(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"
