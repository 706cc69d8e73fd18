"""A run in the terminal, at most 100 columns wide: data, variants, primary comparisons, targets.

Every colour stands beside a word or a mark that says the same, so the text also serves a log file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import Box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from rag_lab.report import benchmark, sheet, speed, spending, wording
from rag_lab.report.run import NDCG, PRIMARY, RECALL, USD, Run
from rag_lab.report.style import action_set

WIDTH = 100
NAME = 25  # letters of a variant that leave room for three domains in 100 columns
DOMAINS_ACROSS = 4  # a table of domains alone holds this many: nine-letter names and a variant in 80 columns
UNBOUNDED = 1000
PLAIN = ("static", "bm25", "dense", "static_tuned", "static_domain_tuned", "learned")  # shown beside any treatment
TWIN = "_true_domain"  # a per-domain policy told the true domain: for the report, not for a glance
# Rich's notation of a table's lines, from the top edge to the bottom one: rules under the head and a section.
RULED = Box("    \n    \n ── \n    \n ── \n    \n    \n    \n")
COLOURS = {
    "better": "green",
    "worse": "red",
    "not worse": "cyan",
    "not shown": "yellow",
    "met": "green",
    "missed": "red",
    "inconclusive": "yellow",
}


def show(run: Run, console: Console) -> None:
    """Print the run. Metrics are shares in [0, 1] on the test split; missing ones read "not measured"."""
    width = min(WIDTH, console.width)
    parts: list[RenderableType] = [_data(run)]
    if any(RECALL in metrics for metrics in run.variants.values()):
        table = _variants(run, run.domains)
        if console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum <= width:
            parts += ["", table]
        else:
            chunks = range(0, len(run.domains), DOMAINS_ACROSS)
            parts += [
                "",
                _variants(run, ()),
                *(part for at in chunks for part in ("", _domains(run, run.domains[at : at + DOMAINS_ACROSS]))),
            ]
    if run.family(PRIMARY):
        parts += [
            _heading("Primary comparisons", "declared before the run; Holm's correction within them"),
            _comparisons(run.family(PRIMARY)),
        ]
    if "benchmark" in run.curves:
        parts += ["", benchmark.table(run.curves["benchmark"])]
    routers = spending.sheet(run)
    if routers is not None:
        parts += ["", sheet.rich(routers)]
    parts += [part for section in speed.sections(run) for one in section.sheets for part in ("", sheet.rich(one))]
    parts += _targets(run)
    if run.summary["status"] == "failed":
        parts += ["", Text(wording.verdict(run), style="bold red")]
    for part in parts:
        console.print(part, width=width, highlight=False)


def _data(run: Run) -> Text:
    data = run.summary["data"]
    domains = data["domains"].values()
    total = {key: sum(domain[key] for domain in domains) for key in ("passages", "queries_train", "queries_test")}
    took = run.summary.get("duration_s")
    head = Text(str(run.summary["experiment"]), style="bold")
    head.append(f" · seed {run.summary['seed']} · {run.summary['device']}", style="not bold")
    if took is not None:
        head.append(f" · {run.summary['status']} in {wording.duration(took)}", style="not bold")
    if not domains:
        return head
    return head.append(
        f"\n{run.data_name} {data['fingerprint'][:12]} · {total['passages']:,} passages · "
        f"{total['queries_train']:,} train and {total['queries_test']:,} test queries",
        style="not bold dim",
    )


def _variants(run: Run, domains: Sequence[str]) -> Table:
    table = _table(run)
    _add_domains(table, domains)
    table.add_column("recall@10\nmean" if not domains else "\nmean", justify="right")
    table.add_column("95%\ninterval", justify="center", no_wrap=True)
    table.add_column("nDCG@10\nmean", justify="right")
    table.add_column("USD per\n1k queries", justify="right")

    def cells(variant: str) -> list[str]:
        mean = run.estimate(variant, RECALL)
        return [
            *(wording.score(run.estimate(variant, RECALL, domain).value) for domain in domains),
            wording.score(mean.value),
            wording.span(mean.low, mean.high),
            wording.score(run.estimate(variant, NDCG).value),
            wording.usd(run.estimate(variant, USD).value),
        ]

    _fill(table, run, cells)
    return table


def _domains(run: Run, domains: Sequence[str]) -> Table:
    table = _table(run)
    _add_domains(table, domains)
    _fill(
        table,
        run,
        lambda variant: [wording.score(run.estimate(variant, RECALL, domain).value) for domain in domains],
    )
    return table


def _table(run: Run) -> Table:
    table = Table(box=RULED, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("variant, on the\ntest queries", overflow="fold", min_width=20)
    return table


def _add_domains(table: Table, domains: Sequence[str]) -> None:
    for at, domain in enumerate(domains):
        head = Text(f"{'' if at else 'recall@10'}\n{domain}")
        table.add_column(head, justify="right", min_width=len(domain))


def _fill(table: Table, run: Run, cells: Any) -> None:
    order = [variant for variant in run.order if _at_a_glance(variant, run)]
    for at, variant in enumerate(order):
        ceiling = variant in run.ceilings
        mark = "▸ " if variant == run.treatment else "^ " if ceiling else "  "
        style = "bold" if variant == run.treatment else "dim" if ceiling else ""
        last = at + 1 < len(order) and not ceiling and order[at + 1] in run.ceilings
        written = [cell.replace(" ", "\n") for cell in cells(variant)]  # "not measured" is too wide for one line
        table.add_row(Text(mark + _folded(variant)), *written, style=style, end_section=last)
    marks = ["▸ under test"] if run.treatment in order else []
    marks += ["^ ceiling, known only by hindsight"] if run.ceilings else []
    marks += ["others are in the report"] if len(order) < len(run.order) else []
    if marks:
        table.caption, table.caption_justify = Text(" · ".join(marks), style="dim"), "left"


def _at_a_glance(variant: str, run: Run) -> bool:
    """Whether the terminal shows a variant: no twin; on the treatment's action set, or a plain reference."""
    if TWIN in variant:
        return False
    own, other = (action_set(name) for name in (run.treatment or "", variant))
    return own == other or (other == "" and (variant in PLAIN or variant in run.ceilings))


def _folded(name: str) -> str:
    """A name of more than `NAME` letters on two lines, cut after the last underscore that fits."""
    cut = name.rfind("_", 0, NAME) + 1
    return name if len(name) <= NAME or not cut else f"{name[:cut]}\n    {name[cut:]}"


def _comparisons(rows: Sequence[Mapping[str, Any]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for row in rows:
        conclusion = wording.conclude(row)
        word = Text("undecided" if conclusion == "not shown" else conclusion, style=COLOURS[conclusion])
        grid.add_row(word, Text(wording.sentence(row)))
    return grid


def _targets(run: Run) -> list[RenderableType]:
    measured = [target for target in run.summary["targets"] if target["verdict"] != "not measured"]
    rest = len(run.summary["targets"]) - len(measured)
    if not measured and not rest:
        return []
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column()
    for target in measured:
        text = Text(target["id"], style="bold")
        text.append(f"  {target['statement']}: {wording.outcome(target)}", style="not bold")
        grid.add_row(Text(target["verdict"], style=COLOURS[target["verdict"]]), text)
    parts: list[RenderableType] = [_heading("Targets", "the roadmap's; none is adjusted after a measurement")]
    parts += [grid] if measured else []
    if rest:
        parts.append(
            Text(
                f"{rest} target{'s' if rest > 1 else ''} not measured in this run: "
                "summary.json and report.html say why",
                style="dim",
            )
        )
    return parts


def _heading(title: str, remark: str) -> Text:
    return Text.assemble(("\n" + title, "bold"), (f"  {remark}", "dim"))
