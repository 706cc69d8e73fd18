"""What a run does just now, and what it said: bars of its work, its throughput, its latest events."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dash import html

from rag_lab.dashboard import courses, parts
from rag_lab.dashboard.following import Bar, Followed
from rag_lab.dashboard.index import Row
from rag_lab.dashboard.parts import Children, Look, aria
from rag_lab.dashboard.veil import veil
from rag_lab.report import wording

SHOWN_BARS = 4  # the latest; the others are folded
LONG = 300  # letters of an event


def now(row: Row, followed: Followed, look: Look) -> Children:
    """The work of a run that goes on, or that stopped without a word."""
    bars = list(reversed(followed.bars.values()))
    drawn: Children = [html.P(said(row, followed), className="heard", role="status")]
    if row.status in ("running", "silent", "killed"):
        shown, earlier = bars[:SHOWN_BARS], bars[SHOWN_BARS:]
        drawn += [html.Ul([_bar(bar, row, bar is bars[0]) for bar in shown], className="bars")]
        inside = [html.Ul([_bar(bar, row, False) for bar in earlier], className="bars")]
        drawn += parts.folded(f"{len(earlier)} earlier", inside if earlier else [])
        drawn += parts.figure(courses.work(list(followed.bars.values())), look)
    return drawn


def said(row: Row, followed: Followed) -> str:
    """When the run was last heard of, in words."""
    if followed.behind:
        read = followed.offset / (followed.offset + followed.behind)
        return f"Reading the run's events: {read:.0%} so far."
    if followed.last is None:
        return "No event yet."
    quiet = max(0.0, (datetime.now(UTC) - followed.last).total_seconds())
    ran = (followed.last - (followed.first or followed.last)).total_seconds()
    if row.status == "killed":
        return f"Killed: its process is gone, and it left no summary. It had run for {wording.duration(ran)}."
    if row.status == "silent":
        heard = f"Nothing heard for {wording.duration(quiet // 60 * 60)}"
        return f"{heard}: it was killed, or it is stuck. It had run for {wording.duration(ran)}."
    # In steps, so that the page does not change with every second.
    quiet = quiet // 10 * 10
    heard = f"{wording.duration(quiet)} ago" if quiet else "just now"
    return f"Running for {wording.duration(ran + quiet)}; last heard of {heard}."


def log(followed: Followed) -> Children:
    """The latest events that are not progress, newest first, and how many there were of each kind."""
    rows = [_event(event) for event in reversed(followed.recent)]
    counts = ", ".join(f"{count:,} × {kind}" for kind, count in followed.kinds.most_common())
    body: Children = [html.P(f"{sum(followed.kinds.values()):,} events: {counts}.", className="lead")]
    if followed.torn:
        body.append(
            parts.trouble("Torn", f"{followed.torn} whole lines of events.jsonl are no event and were passed over")
        )
    return [*body, html.Div(html.Table(html.Tbody(rows)), className="scroll log", tabIndex="0")]


def failures(followed: Followed) -> list[str]:
    """What events say of failing: of the run, and of parts of it."""
    return [
        str(event.get("why") or event.get("error"))
        for event in followed.recent
        if event.get("kind") in ("failed", "error") or event.get("error")
    ]


def _bar(bar: Bar, row: Row, latest: bool) -> html.Li:
    rate = f", {wording.number(bar.per_s)}/s" if bar.per_s else ""  # events round it, to nothing where work is slow
    left = ""
    if latest and row.status == "running" and bar.per_s > 0 and bar.done < bar.total:
        left = f", about {wording.duration((bar.total - bar.done) / bar.per_s)} left"
    text = f"{bar.done:,} of {bar.total:,} {bar.unit}{rate}{left}"
    return html.Li(
        [
            html.Div([html.Span(bar.what), html.Span(text, className="count")], className="head"),
            html.Progress(value=str(bar.done), max=str(max(bar.total, 1)), **aria(label=f"{bar.what}: {text}")),
        ]
    )


def _event(event: Mapping[str, Any]) -> html.Tr:
    rest = {key: value for key, value in event.items() if key not in ("time", "kind")}
    text = veil(", ".join(f"{key}: {_short(value)}" for key, value in rest.items()))
    cut = text if len(text) <= LONG else f"{text[:LONG]} …"
    return html.Tr(
        [
            html.Th(str(event["time"])[11:19], scope="row", title=str(event["time"])),
            html.Td(str(event["kind"]), className=f"text kind {event['kind'] if event['kind'] == 'failed' else ''}"),
            html.Td(cut, className="text"),
        ]
    )


def _short(value: object) -> str:
    return f"{len(value)} values" if isinstance(value, dict | list) and len(value) > 6 else str(value)
