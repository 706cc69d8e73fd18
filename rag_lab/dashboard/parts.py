"""Pieces of the page: figures in the reader's light and width, tables, facts, and what cannot be shown.

Colours are those of the report's own page, read from its style sheet, so that they stand in one place.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from dash import dcc, html

import rag_lab.report
from rag_lab.dashboard.veil import veil
from rag_lab.report.figures import Picture
from rag_lab.report.sheet import Sheet

REPORT_CSS = Path(rag_lab.report.__file__).with_name("page.css")
GRAPH: Any = {"displayModeBar": False, "responsive": True}
WORDS = {"not measured": "none", "not-shown": "not-shown"}
log = logging.getLogger(__name__)

Children = list[Any]


class Look(NamedTuple):
    """How the reader's window is: narrow as a phone, dark."""

    narrow: bool
    dark: bool


def aria(**names: str | None) -> dict[str, Any]:
    """Attributes for screen readers, those with a value: `aria(label="Runs")` is `{"aria-label": "Runs"}`."""
    return {f"aria-{name}": value for name, value in names.items() if value is not None}


@cache
def colours(dark: bool) -> Mapping[str, str]:
    """The report's colours by name (`ink`, `rule` …)."""
    light, night = re.findall(r":root\s*\{(.*?)\}", REPORT_CSS.read_text(encoding="utf-8"), re.DOTALL)[:2]
    return dict(re.findall(r"--([a-z]+):\s*(#[0-9a-f]+)", night if dark else light))


def figure(picture: Picture | None, look: Look, name: str = "") -> Children:
    """A picture with its title and caption; nothing for none. name: its id on the page, if not the picture's own."""
    if picture is None:
        return []
    drawn = dressed(picture, look)
    title = html.H3(picture.title)
    graph = dcc.Graph(
        id=f"figure-{name or picture.name}",
        figure=drawn,
        config=GRAPH,
        style={"height": f"{drawn['layout']['height']}px"},
    )
    inside = html.Div(graph, role="img", **aria(label=f"{picture.title}. {picture.caption}"))
    return [html.Figure([title, inside, html.Figcaption(picture.caption)], className="picture")]


def dressed(picture: Picture, look: Look) -> dict[str, Any]:
    """The figure as Plotly takes it, in the colours and for the width of the window."""
    found: dict[str, Any] = picture.figure.to_plotly_json()
    layout = found["layout"]
    layout.pop("template", None)
    if look.narrow:
        layout["dragmode"] = False  # a finger that scrolls must not zoom
        for path, value in picture.narrow.items():
            _set(layout, path, value)
    colour = colours(look.dark)
    layout.setdefault("font", {})["color"] = colour["ink"]
    layout["hoverlabel"] = {**layout.get("hoverlabel", {}), "bgcolor": colour["sheet"], "bordercolor": colour["rule"]}
    for key, axis in layout.items():
        if re.fullmatch(r"[xy]axis\d*", key):
            axis.update(gridcolor=colour["grid"], linecolor=colour["rule"])
    return found


def _set(layout: dict[str, Any], path: str, value: Any) -> None:
    *keys, last = path.split(".")
    for key in keys:
        layout = layout.setdefault(key, {})
    layout[last] = value


def table(sheet: Sheet) -> Children:
    """A sheet with its title and note."""
    head = [html.Th(_lines(one), scope="col", className="text" if at < sheet.names else None)
            for at, one in enumerate(sheet.heads)]  # fmt: skip
    body = [html.Tr(_cells(sheet, row)) for row in sheet.rows]
    inner = html.Table([html.Thead(html.Tr(head)), html.Tbody(body)])
    return [
        html.H3(sheet.title),
        html.P(sheet.note, className="lead"),
        html.Div(inner, className="scroll", tabIndex="0"),
    ]


def _cells(sheet: Sheet, row: Sequence[str]) -> Children:
    cells: Children = []
    for at, text in enumerate(row):
        value, _, ends = text.partition(" [")
        small = [html.Small(f"[{ends}")] if ends else []
        word = {"better", "worse", "met", "missed", "inconclusive"} & {text}
        if at == 0:
            cells.append(html.Th(text, scope="row"))
        else:
            cells.append(
                html.Td([value, *small], className=" ".join(["text"] * (at < sheet.names) + sorted(word)) or None)
            )
    return cells


def _lines(text: str) -> Children:
    lines: Children = []
    for line in text.split("\n"):
        lines += [html.Br(), line] if lines else [line]
    return lines


def facts(pairs: Mapping[str, str]) -> html.Dl:
    """Names with their values; empty ones are left out. Long values take a line of their own."""
    return html.Dl(
        [
            html.Div([html.Dt(name), html.Dd(veil(value))], className="wide" if len(value) > 60 else None)
            for name, value in pairs.items()
            if value
        ],
        className="facts",
    )


def folded(title: str, inside: Children, opened: bool = False) -> Children:
    """Something that opens when asked; nothing for nothing."""
    return [html.Details([html.Summary(title), *inside], open=opened)] if inside else []


def nothing(text: str) -> html.P:
    """What is said where there is nothing to show."""
    return html.P(text, className="nothing")


def trouble(title: str, text: str) -> html.Div:
    """Something that went wrong, in words."""
    return html.Div([html.Strong(f"{title}: "), veil(text)], className="trouble", role="alert")


def guarded(title: str, build: Callable[[], Children]) -> Children:
    """What `build` returns. Whatever it raises costs this part alone: a run's files may be torn, absent or old."""
    try:
        return build()
    except Exception as error:
        log.debug("%s cannot be shown", title, exc_info=True)
        return [trouble(f"{title} cannot be shown", f"{type(error).__name__}: {error}".splitlines()[0])]
