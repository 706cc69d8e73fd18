"""A run's page: `report.html` in its folder, one file that opens offline and loads nothing.

Plotly's script is inlined once (about 5 MB); figures are drawn in the reader's browser, wide or narrow,
light or dark. The text is computed from the run's summary alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from rag_lab.assets import atomic
from rag_lab.report import actions, arms, benchmark, figures, learning, shaken, sheet, speed, spending, tables, wording
from rag_lab.report.figures import Picture
from rag_lab.report.run import NDCG, PRIMARY, RECALL, Run
from rag_lab.report.sheet import Sheet

HERE = Path(__file__).parent
SECTIONS = {
    "results": "Results",
    "benchmark": "Benchmark",
    "differences": "Differences",
    "learning": "Learning",
    "shaken": "Robustness",
    "spending": "Spending",
    speed.LATENCY: "Latency",
    speed.DETECTION: "Detection",
    speed.FILTER: "Feedback filter",
    speed.CACHE: "Cache",
    "targets": "Targets",
    "data": "Data",
    "again": "Reproduce",
}
VERDICTS = ("met", "missed", "inconclusive", wording.NOT_MEASURED)


def write(run: Run) -> Path:
    """Write `<folder>/report.html` whole or not at all, and return its path."""
    path = run.folder / "report.html"
    with atomic.write(path) as temporary:
        temporary.write_text(html(run), encoding="utf-8")
    return path


def html(run: Run) -> str:
    """The whole page."""
    from plotly.offline import get_plotlyjs  # five megabytes: read only where a page is written

    shown: list[Picture] = []
    sections = [
        _notes(run),
        _results(run, shown),
        _benchmark(run),
        _comparisons(run, shown),
        _learning(run, shown),
        _shaken(run, shown),
        _spending(run, shown),
        *(_speed(section, shown) for section in speed.sections(run)),
        _targets(run),
        _card(run),
        _reproduce(run),
    ]
    drawn = {picture.name: {**json.loads(picture.figure.to_json()), "narrow": picture.narrow} for picture in shown}
    for figure in drawn.values():
        figure["layout"].pop("template", None)  # Plotly's default look: 7 kB a figure, and the page has its own
    data = json.dumps(drawn, ensure_ascii=False).replace("<", "\\u003c")
    scripts = (
        (
            f'<script type="application/json" id="figures">{data}</script>\n'
            f"<script>{get_plotlyjs()}</script>\n"
            f"<script>{(HERE / 'page.js').read_text(encoding='utf-8')}</script>"
        )
        if drawn
        else ""
    )
    title = f"{run.summary['experiment']}: {wording.question(run)}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{(HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
{_header(run, sections)}
<main>
{"".join(sections)}</main>
<footer>Written by rag_lab from the run's own summary.json and curves.json. “Not measured” is never zero.
In figures: hover for values, drag to zoom, double-click to go back.</footer>
{scripts}
</body>
</html>
"""


def _header(run: Run, parts: Sequence[str]) -> str:
    summary, data = run.summary, run.summary["data"]
    domains = "; ".join(
        f"{name} {size['passages']:,} passages, {size['queries_train']:,} train and "
        f"{size['queries_test']:,} test queries"
        for name, size in data["domains"].items()
    )
    facts = [
        ("command", f"<code>{escape(str(summary.get('command', 'not kept')))}</code>", True),
        ("data", f"{escape(run.data_name)}: {escape(domains)}", True),
        ("data fingerprint", f"<code>{data['fingerprint'][:16]}</code>", False),
        ("seed", str(summary["seed"]), False),
        ("device", escape(summary["device"]), False),
        ("started", escape(str(summary.get("started_at", "not kept"))[:19].replace("T", " ")), False),
        ("duration", wording.duration(summary.get("duration_s", 0)), False),
    ]
    items = "".join(
        f"<div{' class=wide' if wide else ''}><dt>{name}</dt><dd>{value}</dd></div>" for name, value, wide in facts
    )
    counts = Counter(target["verdict"] for target in summary["targets"])
    tally = "".join(
        f'<li><span class="{"none" if verdict == wording.NOT_MEASURED else verdict}">{counts[verdict]} '
        f"{verdict}</span></li>"
        for verdict in VERDICTS
        if counts[verdict]
    )
    links = "".join(
        f'<a href="#{name}">{title}</a>'
        for name, title in SECTIONS.items()
        if any(part.startswith(f'<section id="{name}"') for part in parts)
    )
    return f"""<header class="top">
<p class="over">rag_lab · {escape(summary["experiment"])} · run {escape(summary["run_id"])}</p>
<h1>{escape(wording.question(run))}</h1>
<p class="verdict">{escape(wording.verdict(run))}</p>
{f'<ul class="tally" aria-label="Targets"><li>Targets:</li>{tally}</ul>' if tally else ""}
<dl class="facts">{items}</dl>
{f'<nav aria-label="Sections">{links}</nav>' if links else ""}
</header>"""


def _notes(run: Run) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in run.summary.get("notes", ()))
    return f'<section id="notes"><h3>Know this first</h3><ul class="notes">{notes}</ul></section>\n' if notes else ""


def _results(run: Run, shown: list[Picture]) -> str:
    if not any(RECALL in metrics for metrics in run.variants.values()):
        return ""
    lead = (
        "Scores of the test queries, with 95% intervals. The mean weighs every domain the same; underlined "
        "in the table is the best of a column, ceilings aside."
    )
    return (
        f'<section id="results"><h2>Results</h2><p class="lead">{lead}</p>'
        f"{_figure(figures.estimates(run, RECALL), shown)}<h3>The same in numbers</h3>{tables.variants(run)}"
        f"{_figure(figures.estimates(run, NDCG), shown)}"
        f"</section>\n"
    )


def _benchmark(run: Run) -> str:
    if "benchmark" not in run.curves:
        return ""
    document = run.curves["benchmark"]
    heads, rows = benchmark.rows(document)
    body = [f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows]
    table = (
        f"<div class='scroll'><table><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"
        f"{''.join(body)}</table></div>"
    )
    return (
        f'<section id="benchmark"><h2>Benchmark</h2><p class="lead">{escape(benchmark.READING)}</p>'
        f"<figure>{benchmark.picture(document)}</figure>{table}</section>\n"
    )


def _comparisons(run: Run, shown: list[Picture]) -> str:
    parts = []
    for family in run.families:
        rows = run.family(family)
        drawn = "".join(
            _figure(figures.differences(run, family, metric), shown, level=4) for metric in figures.metrics_of(rows)
        )
        if family == PRIMARY:
            told = "".join(f"<li>{escape(wording.sentence(row))}.</li>" for row in rows)
            parts.append(
                '<h3>Primary family</h3><p class="lead">Declared in the experiment before it ran; these '
                f"decide the verdict. Better or worse: p below {wording.LEVEL} after Holm. Not worse: the "
                f'whole interval lies above −{wording.MARGIN}.</p><ul class="notes">{told}</ul>{drawn}'
                f"{_folded('The same as a table', tables.comparisons(rows))}"
            )
        else:
            parts.append(
                f"<h3>Exploratory: {escape(wording.family(family))}</h3>"
                '<p class="lead">Not declared before; corrected within this family only. '
                "Read it as a hint for the next experiment.</p>"
                f"{drawn}{_folded(f'Table of {len(rows)} comparisons', tables.comparisons(rows))}"
            )
    return f'<section id="differences"><h2>Differences</h2>{"".join(parts)}</section>\n' if parts else ""


def _learning(run: Run, shown: list[Picture]) -> str:
    few = learning.first_look(run)
    pictures = [arms.by_alpha(run), learning.regret(few), learning.convergence(few), *arms.posterior(run)]
    drawn = f'<p class="lead">{learning.FIRST_LOOK}</p>' if few.curves != run.curves else ""
    drawn += "".join(_figure(picture, shown) for picture in pictures)
    earned, how = tables.online(run), run.curves.get("online", {})
    if earned:
        drawn += (
            '<h3>What it earned while learning</h3><p class="lead">Prequential: the mean reward (recall@10) over '
            f"{how['steps']:,} train queries of each domain, each counted before it was learned from. Mean over "
            f"{how['seeds']:,} seeds and its 95% interval; fixed settings play the same streams. Tuned ones saw "
            f"train before, so they have a head start here.</p>{earned}"
        )
    return f'<section id="learning"><h2>Learning</h2>{drawn}</section>\n' if drawn else ""


def _shaken(run: Run, shown: list[Picture]) -> str:
    """What noise, liars, drift and newcomers do; what a label buys; what a log says of others."""
    drawn = "".join(_figure(picture, shown) for picture in [*shaken.noise(run), shaken.labels(run)])
    if calm := shaken.scenarios(run):
        drawn += f"<h3>Drift, cold start, a new domain</h3>{calm}"
    if logged := shaken.off_policy(run):
        drawn += f"<h3>Off-policy: what a log says of others</h3>{logged}"
    return f'<section id="shaken"><h2>Robustness</h2>{drawn}</section>\n' if drawn else ""


def _spending(run: Run, shown: list[Picture]) -> str:
    table = spending.sheet(run)
    drawn = "" if table is None else sheet.html(table)
    drawn += "".join(_figure(picture, shown) for picture in (spending.plane(run), actions.chosen(run)))
    return f'<section id="spending"><h2>Spending</h2>{drawn}</section>\n' if drawn else ""


def _speed(section: speed.Section, shown: list[Picture]) -> str:
    parts = (sheet.html(part) if isinstance(part, Sheet) else _figure(part, shown) for part in section.parts)
    return f'<section id="{section.name}"><h2>{section.title}</h2>{"".join(parts)}</section>\n'


def _targets(run: Run) -> str:
    rows = run.summary["targets"]
    measured = [row for row in rows if row["verdict"] != wording.NOT_MEASURED]
    rest = [row for row in rows if row["verdict"] == wording.NOT_MEASURED]
    lead = (
        "The roadmap's targets. Met: the whole interval lies past the target. Missed: the whole interval falls "
        "short. Otherwise inconclusive."
    )
    parts = [tables.targets(measured)] if measured else []
    if rest:
        parts.append(_folded(f"{len(rest)} not measured in this run, and why", tables.targets(rest)))
    body = "".join(parts)
    return f'<section id="targets"><h2>Targets</h2><p class="lead">{lead}</p>{body}</section>\n' if rows else ""


def _card(run: Run) -> str:
    if not run.card:
        return ""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    return f'<section id="data"><h2>Data</h2><div class="card">{reader.render(run.card)}</div></section>\n'


def _reproduce(run: Run) -> str:
    summary = run.summary
    git = summary.get("git") or {}
    commit = f"{git.get('sha') or 'no git commit'}{' with uncommitted changes' if git.get('dirty') else ''}"
    versions = ", ".join(f"{name} {version}" for name, version in sorted(summary.get("versions", {}).items()))
    facts = [
        ("command", str(summary.get("command", "not kept"))),
        ("code", commit),
        ("versions", versions),
        ("configuration", str(summary.get("config_hash", "not kept"))),
        ("data fingerprint", summary["data"]["fingerprint"]),
        ("train queries left out for sharing evidence with test", str(summary["data"]["dropped_overlap"])),
    ]
    items = "".join(f'<div class="wide"><dt>{name}</dt><dd>{escape(value)}</dd></div>' for name, value in facts)
    every = _folded("Every metric of every variant", tables.metrics(run)) if run.variants else ""
    return f'<section id="again"><h2>Reproduce</h2><dl class="facts">{items}</dl>{every}</section>\n'


def _figure(picture: Picture | None, shown: list[Picture], level: int = 3) -> str:
    if picture is None:
        return ""
    shown.append(picture)
    height = picture.figure.layout.height
    return (
        f"<figure><h{level}>{escape(picture.title)}</h{level}>"
        f'<div class="plot" id="{escape(picture.name)}" role="img" '
        f'aria-label="{escape(picture.title)}" style="min-height:{height}px"></div>'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>"
    )


def _folded(title: str, inside: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"
