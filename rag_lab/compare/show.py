"""Two runs compared, as a table read at a glance and as JSON."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rag_lab.compare import Compared
from rag_lab.compare.pairing import Side
from rag_lab.report import wording
from rag_lab.report.terminal import COLOURS, RULED


def table(found: Compared, console: Console, resamples: int) -> None:
    """Print it: which runs, a table for each metric with the mean over domains first, and what to know."""
    for name, side in (("A, baseline", found.baseline), ("B, treatment", found.treatment)):
        told = Text.assemble((f"{name:<14}", "dim"), (side.variant, "bold"), f"  {side.run.folder}")
        console.print(told, soft_wrap=True)
    console.print(
        Text(
            f"{found.queries:,} test queries, paired, in {found.clusters:,} clusters · 95% intervals of "
            f"{resamples:,} resamples · Holm's correction within each metric",
            style="dim",
        )
    )
    for metric in dict.fromkeys(row.comparison.metric for row in found.rows):
        console.print()
        console.print(_metric(found, metric))
    for note in found.notes:
        console.print(Text(f"note: {note}", style="yellow"))


def _metric(found: Compared, metric: str) -> Table:
    shown = Table(box=RULED, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    shown.add_column(wording.label(metric), no_wrap=True)
    for head in ("A", "B", "B − A", "relative"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("95% interval", justify="center", no_wrap=True)
    for head in ("p", "detectable"):
        shown.add_column(head, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    ranked = metric.startswith("retrieval/")
    write, signed = (wording.score, wording.signed) if ranked else (wording.number, _signed)
    for row in sorted((one for one in found.rows if one.comparison.metric == metric), key=_mean_first):
        one = row.comparison
        conclusion = wording.conclude(one._asdict())
        mde = one.minimum_detectable_effect
        shown.add_row(
            one.domain,
            write(row.baseline),
            write(row.treatment),
            signed(one.difference),
            "" if one.relative is None else f"{one.relative:+.1%}".replace("-", "−"),
            f"[{signed(one.ci_low)}, {signed(one.ci_high)}]".replace("[", r"\["),
            wording.p_value(one.p_adjusted).removeprefix("p ").removeprefix("= "),
            "" if mde is None else write(mde),
            Text("undecided" if conclusion == "not shown" else conclusion, style=COLOURS[conclusion]),
            style="bold" if one.domain == "mean" else "",
        )
    return shown


def _mean_first(row: Any) -> bool:
    return row.comparison.domain != "mean"


def _signed(value: float) -> str:
    text = wording.number(value)
    return text if text.startswith("−") or not value else f"+{text}"


def as_json(found: Compared) -> dict[str, Any]:
    """The same as a document; `comparisons` have the form of summary.json's, with both means beside."""
    return {
        "baseline": _side(found.baseline),
        "treatment": _side(found.treatment),
        "queries": found.queries,
        "clusters": found.clusters,
        "comparisons": [
            {**row.comparison._asdict(), "baseline_mean": row.baseline, "treatment_mean": row.treatment}
            for row in found.rows
        ],
        "notes": found.notes,
    }


def _side(side: Side) -> dict[str, str]:
    summary = side.run.summary
    return {
        "run": str(side.run.folder),
        "run_id": summary["run_id"],
        "variant": side.variant,
        "fingerprint": summary["data"]["fingerprint"],
    }
