"""Figures and tables of what a live system does to policies: noise with and without the filter, drift, what a label
buys, and what a log says of policies that did not write it. From `curves.json`; nothing where it lacks them.

Regret is in recall@10 added up over the stream, mean over domains; intervals are 95% over seeds.
"""

from __future__ import annotations

from html import escape
from typing import Any

import plotly.graph_objects as go

from rag_lab.report import marks, panels
from rag_lab.report.figures import Picture, in_rows
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.style import NEUTRAL, SPARE, TREATMENT, Style

FILTERED, PLAIN = TREATMENT, Style(NEUTRAL, "square", "dash")
SEARCHES = {"bandit": TREATMENT, "tpe": SPARE[0], "random": SPARE[1], "grid": SPARE[3]}


def noise(run: Run) -> list[Picture]:
    """Regret against the share of dishonest users, with and without the filter: a picture a scenario."""
    rows = (run.curves.get("robustness") or {}).get("rows", [])
    scenarios = dict.fromkeys(row["scenario"] for row in rows if row["noise"] > 0)
    return [_noise(run, str(scenario), [row for row in rows if row["scenario"] == scenario]) for scenario in scenarios]


def _noise(run: Run, scenario: str, rows: list[dict[str, Any]]) -> Picture:
    policies, figure = list(dict.fromkeys(row["policy"] for row in rows)), go.Figure()
    for index, policy in enumerate(policies):
        for filtered, style, name in ((False, PLAIN, "without filter"), (True, FILTERED, "with filter")):
            own = sorted(
                (row for row in rows if row["policy"] == policy and row["filtered"] == filtered),
                key=lambda row: float(row["noise"]),
            )
            x = [row["noise"] for row in own]
            low, high = ([row[f"regret_{end}"] for row in own] for end in ("low", "high"))
            figure.add_trace(marks.band(index, x, low, high, style.colour, name))
            y = [row["regret"] for row in own]
            figure.add_trace(marks.line(index, x, y, style, name, filtered, index == 0, "%{y:.2f}"))
        panels.axis(figure, "x", index, tickformat=".0%", nticks=6)
        panels.axis(figure, "y", index, rangemode="tozero")
    grid = Grid(
        [Panel(policy, 230, "users who are not honest", "cumulative regret (recall@10)") for policy in policies],
        in_rows(len(policies)),
        shared_y=False,
    )
    narrow = grid.arrange(figure, legend=True)
    seeds = run.curves["robustness"]["seeds"]
    caption = (
        "Regret of judged rewards at the end of the stream, mean over domains, when policies hear simulated readers "
        f"instead of judgments: lower is better. Line: mean over {seeds} seeds; band: its 95% interval. Each panel has "
        "its own range, from 0."
    )
    name = "noise-" + "".join(letter if letter.isalnum() else "-" for letter in scenario)
    return Picture(name, f"Dishonest users: {scenario}", caption, figure, narrow)


def scenarios(run: Run) -> str:
    """The calm scenarios (drift, cold start, a new domain) as an HTML table; empty without them."""
    every = (run.curves.get("robustness") or {}).get("rows", [])
    rows = [row for row in every if not row["noise"] and not row["filtered"]]
    if not rows:
        return ""
    policies, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("policy", "scenario"))
    told = {(row["scenario"], row["policy"]): row for row in rows}
    head = "".join(f"<th>{escape(policy)}</th>" for policy in policies)
    body = "".join(
        f"<tr><td>{escape('as it is' if name == 'noise' else name)}</td>"
        + "".join(
            f"<td>{row['regret']:.2f} <small>[{row['regret_low']:.2f}, {row['regret_high']:.2f}]</small></td>"
            if (row := told.get((name, policy)))
            else "<td></td>"
            for policy in policies
        )
        + "</tr>"
        for name in names
    )
    return f'<div class="scroll"><table><tr><th>cumulative regret</th>{head}</tr>{body}</table></div>'


def labels(run: Run) -> Picture | None:
    """What the action that a search would use is worth, after each number of labels."""
    bought = run.curves.get("labels")
    if not bought:
        return None
    figure = go.Figure()
    for name, series in bought["searches"].items():
        style = SEARCHES[name]
        shown = f"{bought['bandit']} (bandit)" if name == "bandit" else f"Optuna: {name}"
        figure.add_trace(marks.band(0, bought["pulls"], series["low"], series["high"], style.colour, shown))
        strong = name == "bandit"
        figure.add_trace(marks.line(0, bought["pulls"], series["mean"], style, shown, strong, True, "%{y:.2%}"))
    panels.axis(figure, "y", 0, tickformat=".1%")
    grid = Grid([Panel(None, 320, "judged (query, action) pairs in each domain", "worth of the choice")], [[0]])
    narrow = grid.arrange(figure, legend=True)
    caption = (
        "The true train reward of the α that each would use after so many judged pairs, as a share of the domain's "
        f"best fixed α, mean over domains. Band: 95% interval of the mean over {bought['repetitions']} searches, or "
        "over the bandit's seeds. The axis does not start at zero."
    )
    return Picture("labels", "What a label buys", caption, figure, narrow)


def off_policy(run: Run) -> str:
    """Estimates of every policy from the bandit's log beside the truth, as an HTML table; empty without a log."""
    found = run.curves.get("off_policy")
    if not found or not found["targets"]:
        return ""
    heads = ("policy", "truth", "IPS ± error", "SNIPS ± error", "doubly robust ± error", "effective sample", "")
    rows = "".join(
        f"<tr><td>{escape(row['target'])}</td><td>{row['truth']:.3f}</td>"
        + "".join(
            f"<td>{row[name]:.3f} ± {row[f'{name}_error']:.3f}</td>" for name in ("ips", "snips", "doubly_robust")
        )
        + f"<td>{row['effective']:.1%}</td><td>{escape(row['warning'])}</td></tr>"
        for row in found["targets"]
    )
    lead = (
        f"From {found['logs']} logs of {escape(found['log'])}, {found['decisions']:,} decisions each, with their "
        "propensities. Truth: what the policy earns on the very queries of the log. Error: root mean square over logs."
    )
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f'<p class="lead">{lead}</p><div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'
