"""One run, a view at a time: each function returns a view's content, from what the run's folder holds.

A view with nothing to show says what is missing, and why it may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dash import dcc, html

from rag_lab.dashboard import board, courses, kept, live, parts, pictures, rows, speeds
from rag_lab.dashboard.address import View
from rag_lab.dashboard.parts import Children, Look, aria
from rag_lab.dashboard.seen import Seen
from rag_lab.report import figures, learning, wording
from rag_lab.report.arms import by_alpha
from rag_lab.report.figures import Picture
from rag_lab.report.run import NDCG, PRIMARY, RECALL, Run
from rag_lab.report.sheet import Sheet


def overview(seen: Seen) -> Children:
    """The verdict, the targets in brief, quality against cost, the declared differences, and what the run is."""
    run = seen.run
    if run is None:
        return _no_summary(seen)
    summary = run.summary
    git = summary.get("git") or {}
    told = parts.facts(
        {
            "command": str(summary.get("command", "")),
            "data": f"{run.data_name}: {', '.join(run.domains)}",
            "data fingerprint": str(summary["data"]["fingerprint"])[:16],
            "seed": str(summary["seed"]),
            "device": str(summary["device"]),
            "duration": wording.duration(summary.get("duration_s", 0)),
            "code": f"{str(git.get('sha') or 'no commit')[:10]}{', changed' if git.get('dirty') else ''}",
        }
    )
    notes = [html.Ul([html.Li(note) for note in summary.get("notes", ())], className="notes")]
    return [
        html.P(wording.verdict(run), className="verdict"),
        html.Div(board.tally(seen.row.tally), className="tally", **aria(label="targets by verdict")),
        *parts.guarded("Quality and cost", lambda: parts.figure(pictures.tradeoff(pictures.focus(run)), seen.look)),
        *parts.guarded("Differences", lambda: _declared(run, seen.look)),
        *parts.folded("Know this first", notes if summary.get("notes") else []),
        html.H3("What it is"),
        told,
        *_report(seen),
    ]


def targets(seen: Seen) -> Children:
    """The board."""
    return _no_summary(seen) if seen.run is None else board.board(seen.run.summary["targets"])


def quality(seen: Seen) -> Children:
    """Scores by variant with their intervals, by domain, and what they cost."""
    if seen.run is None:
        return _no_summary(seen)
    whole = seen.run
    run = whole if seen.shown.every else pictures.focus(whole)
    more = len(pictures.focus(whole).variants) < len(whole.variants)
    switch = _switch(seen, f"All {len(whole.variants)} variants", "The variant under test, its references, ceilings")
    drawn = [
        *parts.guarded("recall@10", lambda: parts.figure(_estimates(run, RECALL), seen.look)),
        *parts.guarded("nDCG@10", lambda: parts.figure(_estimates(run, NDCG), seen.look)),
        *parts.guarded("Quality and cost", lambda: parts.figure(pictures.tradeoff(run), seen.look)),
        *parts.guarded("The router", lambda: _router(whole, seen.look)),
        *parts.guarded("The headline", lambda: _headline(whole)),
    ]
    return [*(switch if more else []), *drawn]


def learned(seen: Seen) -> Children:
    """α and reward as they came, regret, convergence, and what each α is worth."""
    drawn = parts.guarded("Decisions", lambda: _decisions(seen))
    if seen.run is not None:
        run = seen.run if seen.shown.every else learning.first_look(seen.run)
        drawn += parts.guarded("Regret", lambda: parts.figure(learning.regret(run), seen.look))
        drawn += parts.guarded("Convergence", lambda: parts.figure(learning.convergence(run), seen.look))
        drawn += parts.guarded("α", lambda: parts.figure(by_alpha(run), seen.look))
    if drawn and seen.run is not None and "regret" in seen.run.curves:
        drawn = [*_switch(seen, "All learners", "The best learners and the tuned settings"), *drawn]
    return drawn or [parts.nothing("This run has no decisions and no learning curves yet: policies learn in week2.")]


def queries(seen: Seen) -> Children:
    """The test queries that the variant under test wins and loses most on."""
    path = rows.per_query(seen.row.folder)
    primary = [] if seen.run is None else seen.run.family(PRIMARY)
    if path is None or not primary:
        return [parts.nothing("This run has no per-query file with a declared comparison.")]
    pair = (str(primary[0]["treatment"]), str(primary[0]["baseline"]))
    found = kept.once(seen.store, f"extremes {pair}", [path], lambda: rows.extremes(path, *pair))
    cells = [
        [
            one["query_id"], one["domain"], one["detected_domain"] or "",
            wording.score(one["recall_at_10"]), wording.score(one["recall_at_10_base"]),
            wording.signed(one["difference"]),
        ]
        for one in found
    ]  # fmt: skip
    heads = ["query", "domain", "detected", "recall@10", "reference", "difference"]
    if not cells:
        return [parts.nothing(f"{pair[0]} and {pair[1]} have the same recall@10 on every test query.")]
    note = (
        f"Where {pair[0]} and its reference, {pair[1]}, differ most: at most {rows.LISTED} losses, then as many wins. "
        "They were picked for being extreme: read them to learn what happens, not how often."
    )
    return parts.table(Sheet("Queries lost and won", note, heads, cells, names=3))


def log(seen: Seen) -> Children:
    """Errors first, then events."""
    troubles = [parts.trouble("Failed", why) for why in live.failures(seen.followed)]
    counted = [
        [one["labels"].get("where", ""), one["labels"].get("kind", ""), f"{one['value']:,.0f}"]
        for one in seen.document.get("counters", ())
        if one["name"] == "errors"
    ]
    sheet = Sheet("Errors", "As the run counted them.", ["where", "kind", "number"], counted, names=2)
    return [*troubles, *(parts.table(sheet) if counted else []), *live.log(seen.followed)]


VIEWS: dict[View, tuple[str, Callable[[Seen], Children]]] = {
    "overview": ("Overview", overview),
    "targets": ("Targets", targets),
    "quality": ("Quality & cost", quality),
    "learning": ("Learning", learned),
    "latency": ("Latency", speeds.latency),
    "queries": ("Queries", queries),
    "log": ("Log", log),
}


def _no_summary(seen: Seen) -> Children:
    if seen.row.status == "unreadable":
        return [parts.trouble("Unreadable", seen.row.what)]
    return [
        parts.nothing("Scores, cost and verdicts come with summary.json, when the run ends. Its events are in the log.")
    ]


def _switch(seen: Seen, every: str, few: str) -> Children:
    """The link between all variants and some."""
    words = few if seen.shown.every else every
    return [html.P(html.A(words, href=seen.shown._replace(every=not seen.shown.every).href), className="switch")]


def _estimates(run: Run, metric: str) -> Picture | None:
    """The report's figure; paired differences are elsewhere on this page."""
    picture = figures.estimates(run, metric)
    return picture and picture._replace(caption=picture.caption.replace("further down", "under Overview"))


def _declared(run: Run, look: Look) -> Children:
    """The differences that the run declared before it ran, in each metric that it did for."""
    rows = run.family(PRIMARY)
    return [
        one
        for metric in figures.metrics_of(rows)
        for one in parts.figure(pictures.paired(rows, metric, f"Declared before the run: {_of(rows)}"), look)
    ]


def _of(rows: list[Mapping[str, Any]]) -> str:
    baselines = dict.fromkeys(str(row["baseline"]) for row in rows)
    return f"{rows[0]['treatment']} minus {' or '.join(baselines)}"


def _report(seen: Seen) -> Children:
    if not (seen.row.folder / "report.html").is_file():
        return []
    return [html.P(html.A("The run's full report", href=f"/report/{seen.row.key}", target="_blank"))]


def _headline(run: Run) -> Children:
    """Every metric that is a mean over domains, with its interval."""
    metrics = run.summary["metrics"]
    names = [
        name for name in metrics if not name.endswith(("_ci_low", "_ci_high")) and name.split("/")[0] not in run.domains
    ]
    cells = [
        [wording.label(name), f"{wording.number(metrics[name])} "
         f"{wording.interval(metrics.get(f'{name}_ci_low'), metrics.get(f'{name}_ci_high'), wording.number)}"]
        for name in names
    ]  # fmt: skip
    note = f"Of {run.treatment or 'the run'}, means over domains, with 95% intervals where there are any."
    return parts.table(Sheet("Headline metrics", note, ["metric", "value"], cells)) if cells else []


def _router(run: Run, look: Look) -> Children:
    """The Pareto plane with its slider of preferences; nothing for a run without a router."""
    steps = (run.curves.get("economy") or {}).get("steps", [])
    start = int(run.curves.get("economy", {}).get("start", 0))
    picture = pictures.pareto(run, start)
    if picture is None:
        return []
    # Its label stands in the figure: so many would not stand side by side.
    slider = dcc.Slider(0, len(steps) - 1, 1, value=start, id="preference", marks={}, allow_direct_input=False)
    return [
        *parts.figure(picture, look),
        html.Div(
            [html.P("Preference: drag, or arrow keys; what it is stands above the figure"), slider],
            className="preference",
        ),
    ]


def _decisions(seen: Seen) -> Children:
    path = seen.row.folder / "decisions.parquet"
    if not path.is_file() or seen.run is None:
        return []
    run = seen.run
    found = kept.once(seen.store, "alpha by step", [path], lambda: rows.alpha_by_step(path))
    return parts.figure(courses.alpha_by_step(found, run), seen.look)
