"""The tables of a run's page, as HTML: variants, comparisons, targets, every metric.

All text is escaped. A number that the run did not write reads "not measured".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from rag_lab.report import wording
from rag_lab.report.run import NDCG, RECALL, USD, Estimate, Run
from rag_lab.report.style import styles

MRR = "retrieval/mrr_at_10"


def variants(run: Run) -> str:
    """Variants in reading order: recall@10 by domain and mean, nDCG@10 and MRR@10, price."""
    shown = [(RECALL, None), *((RECALL, domain) for domain in run.domains), (NDCG, None), (MRR, None)]
    best = {
        place: max(
            (
                value
                for variant in run.order
                if variant not in run.ceilings and (value := run.estimate(variant, *place).value) is not None
            ),
            default=None,
        )
        for place in shown
    }
    look, body, ceiling_seen = styles(run), [], False
    for variant in run.order:
        kind = ["treatment"] if variant == run.treatment else []
        if variant in run.ceilings:
            kind += ["ceiling"] if ceiling_seen else ["ceiling", "first-ceiling"]
            ceiling_seen = True
        cells = [_estimate(run.estimate(variant, *place), best[place], "ceiling" in kind) for place in shown]
        price = wording.usd(run.estimate(variant, USD).value)
        swatch = f'<span class="swatch" style="background:{look[variant].colour}"></span>'
        body.append(
            f'<tr class="{" ".join(kind)}"><th scope="row">{swatch}'
            f'<span class="name">{_breakable(variant)}</span>'
            f"</th>{''.join(cells)}{_cell(price)}</tr>"
        )
    heads = [
        "variant",
        "recall@10<br>mean",
        *(f"recall@10<br>{escape(domain)}" for domain in run.domains),
        "nDCG@10<br>mean",
        "MRR@10<br>mean",
        "USD per<br>1,000 queries",
    ]
    return _table(heads, body)


def comparisons(rows: Sequence[Mapping[str, Any]]) -> str:
    """One family of comparisons: difference, interval, p values, detectable difference, conclusion."""
    body = []
    for row in rows:
        relative, detectable = row["relative"], row["minimum_detectable_effect"]
        conclusion = wording.conclude(row).replace(" ", "-")
        cells = [
            wording.label(row["metric"]),
            row["domain"],
            f"{row['n']:,}",
            wording.signed(row["difference"]),
            f"[{wording.signed(row['ci_low'])}, {wording.signed(row['ci_high'])}]",
            "undefined" if relative is None else f"{relative:+.1%}".replace("-", "−"),
            wording.p_value(row["p_value"])[2:].lstrip("= "),
            wording.p_value(row["p_adjusted"])[2:].lstrip("= "),
            "undefined" if detectable is None else f"{detectable:.3f}",
        ]
        name = f"{row['treatment']} − {row['baseline']}"
        body.append(
            f'<tr><th scope="row" class="name">{_breakable(name)}</th>{"".join(map(_cell, cells))}'
            f'<td class="text {conclusion}">{escape(wording.meaning(row))}</td></tr>'
        )
    heads = [
        "difference",
        "metric",
        "domain",
        "queries",
        "difference",
        "95% interval",
        "relative",
        "p",
        "p after<br>Holm",
        "detectable",
        "shows",
    ]
    return _table(heads, body, text=(10,))


def online(run: Run) -> str:
    """What every variant earned on the train stream while it learned; nothing where the run has none."""
    found = run.curves.get("online", {}).get("variants", {})
    if not found:
        return ""
    places = ("mean", *run.domains)
    order = sorted(found, key=lambda variant: -found[variant]["mean"][0])
    body = [
        f"<tr{' class=treatment' if variant == run.treatment else ''}>"
        f'<th scope="row" class="name">{_breakable(variant)}</th>'
        + "".join(_estimate(Estimate(*found[variant][place]), None, False) for place in places)
        + "</tr>"
        for variant in order
    ]
    return _table(["variant", *(f"reward<br>{escape(place)}" for place in places)], body)


def targets(rows: Iterable[Mapping[str, Any]]) -> str:
    """Targets: the verdict, what was asked, the value with its interval, and why."""
    body = []
    for row in rows:
        ends = wording.interval(row["ci_low"], row["ci_high"], wording.number)
        value = wording.number(row["value"])
        shown = f'<span class="none">{value}</span>' if row["value"] is None else escape(value)
        word = row["verdict"].replace(" ", "-") if row["value"] is not None else "none"
        start = "" if row["baseline"] is None else wording.number(row["baseline"])
        body.append(
            f'<tr><th scope="row" class="name">{_breakable(row["id"])}</th>'
            f'<td class="{word}">{escape(row["verdict"])}</td>'
            f'<td class="text">{escape(row["statement"])}</td>'
            f"{_cell(start)}{_cell(wording.number(row['target']))}"
            f"<td>{shown}<small>{escape(ends)}</small></td>"
            f'<td class="text">{_prose(row["why"])}</td></tr>'
        )
    return _table(["target", "verdict", "statement", "from", "asked", "value", "why"], body, text=(1, 2, 6))


def metrics(run: Run) -> str:
    """Every metric that the run wrote, one row each, a column per variant."""
    names = sorted({name for values in run.variants.values() for name in values})
    body = [
        f'<tr><th scope="row" class="name">{_breakable(name)}</th>'
        + "".join(_cell(wording.number(run.variants[variant].get(name))) for variant in run.order)
        + "</tr>"
        for name in names
    ]
    return _table(["metric", *(escape(variant) for variant in run.order)], body)


def _estimate(estimate: Estimate, best: float | None, ceiling: bool) -> str:
    if estimate.value is None:
        return _cell(wording.NOT_MEASURED)
    text = wording.score(estimate.value)
    mark = ' class="best"' if estimate.value == best and not ceiling else ""
    return f"<td><span{mark}>{text}</span><small>{wording.span(estimate.low, estimate.high)}</small></td>"


def _breakable(name: str) -> str:
    """A name that may break after an underscore, a slash or a full stop where a line is short."""
    for mark in "_/.":
        name = name.replace(mark, f"{mark}\0")
    return escape(name).replace("\0", "<wbr>")


def _prose(text: str) -> str:
    """A sentence, with what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _cell(text: str) -> str:
    inner = f'<span class="none">{text}</span>' if text == wording.NOT_MEASURED else escape(text)
    return f"<td>{inner}</td>"


def _table(heads: Sequence[str], body: Iterable[str], text: Sequence[int] = ()) -> str:
    head = "".join(f'<th scope="col"{" class=text" if at in text else ""}>{word}</th>' for at, word in enumerate(heads))
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>\n'
        + "\n".join(body)
        + "\n</tbody></table></div>"
    )
