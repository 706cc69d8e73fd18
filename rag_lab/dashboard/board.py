"""The targets as a board: a card for each that was measured, with its value, interval and target on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import html

from rag_lab.dashboard.parts import Children, aria, folded
from rag_lab.report import wording

GLYPHS = {"met": "✓", "missed": "✗", "inconclusive": "?", wording.NOT_MEASURED: "–"}  # never colour alone
ORDER = list(GLYPHS)
LONG = 260  # letters that a card shows without being asked


def tally(counts: Mapping[str, int]) -> Children:
    """How many targets have each verdict."""
    return [
        html.Span(f"{GLYPHS[one]} {counts[one]} {one}", className=f"chip {_class(one)}")
        for one in ORDER
        if counts.get(one)
    ]


def board(targets: Sequence[Mapping[str, Any]]) -> Children:
    """Cards of what was measured; the rest, with the reason, folded."""
    measured = [one for one in targets if one["verdict"] != wording.NOT_MEASURED]
    rest = [one for one in targets if one["verdict"] == wording.NOT_MEASURED]
    lead = "Met: the whole 95% interval lies past the target. Missed: all of it falls short. Otherwise inconclusive."
    cards = [_card(one) for one in sorted(measured, key=lambda one: ORDER.index(one["verdict"]))]
    return [
        html.P(lead if targets else "This run judges no targets.", className="lead"),
        html.Ul(cards, className="board"),
        *folded(f"{len(rest)} not measured in this run, and why", [_rest(rest)] if rest else [], not measured),
    ]


def _card(target: Mapping[str, Any]) -> html.Li:
    verdict = target["verdict"]
    ends = wording.interval(target["ci_low"], target["ci_high"], wording.number)
    start = "" if target["baseline"] is None else f"; the reference has {wording.number(target['baseline'])}"
    return html.Li(
        [
            html.Div(
                [html.Code(target["id"]), html.Span(f"{GLYPHS[verdict]} {verdict}", className=_class(verdict))],
                className="head",
            ),
            html.P(target["statement"], className="statement"),
            html.P([html.Strong(wording.number(target["value"])), f" {ends}"], className="value"),
            html.P(f"asked {wording.number(target['target'])}{start}", className="asked"),
            *_scale(target),
            *_why(target["why"]),
        ],
        className=f"card-{_class(verdict)}",
    )


def _scale(target: Mapping[str, Any]) -> Children:
    """Value, interval and target on a line; its ends are written, since it does not start at zero."""
    value, asked = target["value"], target["target"]
    if value is None or asked is None:
        return []
    low, high = (value if target[end] is None else target[end] for end in ("ci_low", "ci_high"))
    known = [float(one) for one in (value, asked, low, high)]
    least, most = min(known), max(known)
    if least == most:
        return []

    def at(one: float) -> str:
        return f"{100 * (one - least) / (most - least):.1f}%"

    width = f"{100 * (high - low) / (most - least):.1f}%"
    drawn = [
        html.Span(className="interval", style={"left": at(low), "width": width}),
        html.Span(className="asked-at", style={"left": at(asked)}, title=f"asked {wording.number(asked)}"),
        html.Span(className="value-at", style={"left": at(value)}, title=wording.number(value)),
    ]
    scale = html.Div(drawn, className="scale", **aria(hidden="true"))
    ends = html.Div([html.Span(wording.number(least)), html.Span(wording.number(most))], className="ends")
    return [scale, ends]


def _why(text: str) -> Children:
    """Where a value comes from; a long one is folded."""
    if len(text) <= LONG:
        return [html.P(text, className="why")] if text else []
    return folded("How it was measured", [html.P(text, className="why")])


def _rest(targets: Sequence[Mapping[str, Any]]) -> html.Ul:
    return html.Ul(
        [html.Li([html.Code(one["id"]), f" {one['statement']}: {one['why']}"]) for one in targets], className="notes"
    )


def _class(verdict: str) -> str:
    return "none" if verdict == wording.NOT_MEASURED else str(verdict)
