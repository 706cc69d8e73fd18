"""The page: the list of runs, one run, and the callback that brings both up to date.

The browser asks every `ASK_EVERY_MS`, and says what it shows; what has not changed since is not sent again. Views are
links (see `address`), so there is one callback for everything but the slider of preferences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

from dash import Dash, Input, NoUpdate, Output, State, dcc, html, no_update
from dash.exceptions import PreventUpdate
from flask import Response, abort, send_file

from rag_lab.dashboard import board, live, parts, pictures, versus, views
from rag_lab.dashboard.address import Shown, View, parse
from rag_lab.dashboard.following import Following
from rag_lab.dashboard.index import Index, Row, stamp
from rag_lab.dashboard.measured import Measured
from rag_lab.dashboard.parts import Children, Look, aria
from rag_lab.dashboard.seen import Seen
from rag_lab.report import wording
from rag_lab.report.run import Run, load

ASK_EVERY_MS = 600  # with the drawing, an event is seen within two seconds on a busy machine too
RUNS_KEPT = 16  # parsed runs in memory
STORE = ".cache/dashboard"
LINKS: dict[View, str] = {**{name: words for name, (words, _) in views.VIEWS.items()}, "compare": "Compare"}
GROWING = ("log", "latency")  # views that change with every event, and with what a run measures of itself
UNENDED = ("running", "silent", "killed")

Part = Children | NoUpdate
Made = tuple[str, Callable[[], Children]]  # a part of the page: what it depends on, and how it is built
Changes = tuple[Part, Part, Part, Part, list[str]]


@lru_cache(maxsize=RUNS_KEPT)
def _loaded(folder: Path, at: object) -> Run:
    """A run, parsed once for every time that its files change."""
    return load(folder)


class Page:
    """What is shown of the runs below `runs`, with their metrics files below `metrics`."""

    def __init__(self, runs: Path, metrics: Path) -> None:
        self.measured = Measured(metrics)
        self.index = Index(runs, self.measured)
        self.following = Following()
        self._lock = Lock()  # one reader of files at a time, however many pages are open

    def changes(self, search: str | None, look: Look, seen: Sequence[str]) -> Changes:
        """The list, the head, what goes on, the view: each only if it is not what was `seen`; and what is seen then."""
        with self._lock:
            rows = self.index.rows()
            shown = parse(search)
            if not shown.run and rows:
                shown = shown._replace(run=rows[0].key)
            row = next((one for one in rows if one.key == shown.run), None)
            listed: Made = (str((rows, shown)), lambda: runs_list(rows, shown))
            if row is None:
                made = [listed, (str(shown), lambda: _without(shown, self.index.runs)), ("", list), ("", list)]
            else:
                made = [listed, *self._of(row, shown, look, rows)]
            known = [*seen, *[""] * len(made)]
            drawn = [no_update if was == now else build() for was, (now, build) in zip(known, made, strict=False)]
        if all(one is no_update for one in drawn):
            raise PreventUpdate
        return drawn[0], drawn[1], drawn[2], drawn[3], [now for now, _ in made]

    def _of(self, row: Row, shown: Shown, look: Look, rows: Sequence[Row]) -> list[Made]:
        """Head, what goes on, and view of a run, each with what it depends on."""
        content = self._content(row, shown, look)
        other = next((one for one in rows if one.key == shown.other), None)
        heard = (content.followed.offset, live.said(content.row, content.followed))
        files = (stamp(row.folder), row.status, other and stamp(other.folder))
        growing = (content.followed.offset, content.document.get("written_at")) if shown.view in GROWING else ()
        return [
            (str((shown, row)), lambda: _head(content)),
            (str((row.key, row.status, look, heard)), lambda: _going_on(content)),
            (str((shown, look, files, growing)), lambda: _view(content, other, rows)),
        ]

    def run(self, key: str) -> Run | None:
        """A run with a summary, by its key."""
        row = next((one for one in self.index.rows() if one.key == key), None)
        return (
            None if row is None or row.status not in ("finished", "failed") else _loaded(row.folder, stamp(row.folder))
        )

    def _content(self, row: Row, shown: Shown, look: Look) -> Seen:
        run, broken = None, row
        if row.status in ("finished", "failed"):
            try:
                run = _loaded(row.folder, stamp(row.folder))
            except Exception as error:  # a torn or foreign file: the page says so and goes on
                broken = row._replace(status="unreadable", what=str(error).splitlines()[0])
        document = self.measured.of(row.folder)
        return Seen(
            row=broken,
            run=run,
            followed=self.following(row.folder),
            document=document,
            points=self.measured.points(row.folder),
            look=look,
            shown=shown,
            store=self.index.runs / STORE,
        )


def build(runs: Path, metrics: Path) -> Dash:
    """The application. runs: the folder of runs; metrics: that of metrics files, which need not exist."""
    page = Page(runs, metrics)
    app = Dash(
        __name__, title="rag_lab", update_title="", suppress_callback_exceptions=True, serve_locally=True,
        assets_folder=str(Path(__file__).with_name("assets")), add_log_handler=False,
    )  # fmt: skip
    app.index_string = _document(app.index_string)
    app.layout = html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="look"),
            dcc.Store(id="seen", data=[]),
            dcc.Interval(id="tick", interval=ASK_EVERY_MS),
            html.A("Skip to the run", href="#main", className="skip"),
            html.Nav(
                [
                    html.H1(html.A("rag_lab runs", href="/")),
                    html.Label(
                        [
                            html.Span("Filter runs", className="hidden"),
                            dcc.Input(id="filter", type="search", placeholder="Filter runs ( / )", debounce=False),
                        ]
                    ),
                    html.Div(id="runs"),
                ],
                id="side", **aria(label="Runs"),
            ),
            html.Main([html.Div(id="head"), html.Div(id="now"), html.Div(id="view")], id="main", tabIndex="-1"),
        ],
        id="page",
    )  # fmt: skip
    app.clientside_callback("function () { return rag_lab.look(); }", Output("look", "data"), Input("page", "id"))
    app.clientside_callback(
        "function (text, runs) { rag_lab.filter(text); return window.dash_clientside.no_update; }",
        Output("filter", "title"), Input("filter", "value"), Input("runs", "children"),
    )  # fmt: skip

    @app.callback(
        Output("runs", "children"), Output("head", "children"), Output("now", "children"), Output("view", "children"),
        Output("seen", "data"),
        Input("tick", "n_intervals"), Input("url", "search"), Input("look", "data"), State("seen", "data"),
        running=[(Output("tick", "disabled"), True, False)],
    )  # fmt: skip
    def refresh(ticks: int | None, search: str | None, look: dict[str, bool] | None, seen: list[str]) -> Changes:
        if look is None:
            raise PreventUpdate
        return page.changes(search, Look(look["narrow"], look["dark"]), seen)

    @app.callback(
        Output("figure-pareto", "figure"), Input("preference", "value"), State("url", "search"), State("look", "data"),
        prevent_initial_call=True,
    )  # fmt: skip
    def prefer(step: int, search: str | None, look: dict[str, bool]) -> dict[str, Any]:
        run = page.run(parse(search).run)
        picture = None if run is None else pictures.pareto(run, step)
        if picture is None:
            raise PreventUpdate
        return parts.dressed(picture, Look(look["narrow"], look["dark"]))

    def report(key: str) -> Response:
        row = next(
            (one for one in page.index.rows() if one.key == key), None
        )  # only runs of the list, whatever is asked
        if row is None or not (row.folder / "report.html").is_file():
            abort(404)
        return send_file((row.folder / "report.html").resolve())

    app.server.add_url_rule("/report/<path:key>", view_func=report)
    return app


def runs_list(rows: Sequence[Row], shown: Shown) -> Children:
    """The runs as links; the shown one is marked, and keeps the view that is open."""
    items = [
        html.Li(
            html.A(
                [
                    html.Span(
                        [html.Strong(row.experiment), html.Span(_state(row), className=f"state {row.status}")],
                        className="first",
                    ),
                    html.Span(_when(row), className="second"),
                    html.Span(
                        board.tally({one: n for one, n in row.tally.items() if one != wording.NOT_MEASURED}),
                        className="third",
                    ),
                ],
                href=Shown(run=row.key, view="overview" if shown.view == "compare" else shown.view).href,
                title=row.key,
                **aria(current="page" if row.key == shown.run else None),
            ),
            key=row.key,
        )
        for row in rows
    ]
    return [html.Ul(items)] if items else [html.P("No run yet.", className="nothing")]


def _going_on(seen: Seen) -> Children:
    return live.now(seen.row, seen.followed, seen.look) if seen.row.status in UNENDED else []


def _head(seen: Seen) -> Children:
    """A run's title, and the links to its views."""
    row, shown = seen.row, seen.shown
    tabs = [
        html.A(words, href=shown._replace(view=name).href, **aria(current="page" if name == shown.view else None))
        for name, words in LINKS.items()
    ]
    return [
        html.A("All runs", href="/", className="back"),
        html.P([html.Span(_state(row), className=f"state {row.status}"), f" {row.key}"], className="over"),
        html.H2(row.experiment if seen.run is None else wording.question(seen.run), className="title"),
        *([parts.trouble("The run failed", row.what or "it left no reason")] if row.status == "failed" else []),
        html.Nav(tabs, className="tabs", **aria(label="Views")),
    ]


def _view(seen: Seen, other: Row | None, rows: Sequence[Row]) -> Children:
    """The view that is open."""
    shown = seen.shown

    def content() -> Children:
        if shown.view != "compare":
            return views.VIEWS[shown.view][1](seen)
        if other is None:
            return versus.choose(seen, rows)
        return versus.compare(seen, _loaded(other.folder, stamp(other.folder)), other)

    return [html.Div(parts.guarded(LINKS[shown.view], content), key=shown.href, className="content")]


def _without(shown: Shown, runs: Path) -> Children:
    """The page without a run: none there yet, or the address names one that is gone."""
    if shown.run:
        return [
            html.H2("No such run", className="title"),
            html.P([html.Code(shown.run), " is not there (any more). ", html.A("All runs", href="/")]),
        ]
    return [
        html.H2("No run yet", className="title"),
        html.P(f"Runs appear here by themselves once they start writing below {runs}/. Start one:"),
        html.Pre("python -m rag_lab +experiment=week2"),
    ]


def _state(row: Row) -> str:
    return f"running {row.share:.0%}" if row.status == "running" and row.share is not None else row.status


def _when(row: Row) -> str:
    at = row.started_at[:16].replace("T", " ")
    took = "" if row.duration_s is None else f" · {wording.duration(row.duration_s)}"
    adopted = " · adopted" if row.key.startswith("reference/") else ""
    data = f" · {', '.join(row.data[:3])}{' …' if len(row.data) > 3 else ''}" if row.data else ""
    doing = f" · {row.what}" if row.what and not row.data else ""
    return f"{at} UTC{took}{adopted}{data}{doing}"


def _document(page: str) -> str:
    """Dash's HTML page with the report's style sheet before our own, and no favicon to ask for."""
    style = f"<style>{parts.REPORT_CSS.read_text(encoding='utf-8')}</style>"
    meta = "".join(
        f'<meta name="{name}" content="{content}">'
        for name, content in (("viewport", "width=device-width, initial-scale=1"), ("color-scheme", "light dark"))
    )
    return (
        page.replace("<html>", '<html lang="en">')
        .replace("{%favicon%}", '<link rel="icon" href="data:,">')
        .replace("{%css%}", f"{meta}{style}{{%css%}}")
    )
