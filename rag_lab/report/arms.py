"""Figures over α, from `curves.json`: what each α would have scored, and what a learner believes of it.

Pure functions of the run; nothing where the run wrote no such curve. Rewards, recall and nDCG are shares in
[0, 1]; α in [0, 1] is the BM25 weight, 1 − α the vector weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rag_lab.report import marks, panels, wording
from rag_lab.report.figures import ACROSS, Picture
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.style import CURVE, NEUTRAL, TRUTH, Style, base, styles, tint

ALPHA = "α (BM25 weight)"
APART = 0.035  # on the axis of α, whose arms stand 0.1 apart: room for one mark
SLIDER = 76  # pixels for a slider below
PRIOR_ROOM = 2.5  # a prior that would stretch a panel further than this runs out of it


def by_alpha(run: Run) -> Picture | None:
    """recall@10 and nDCG@10 against α for each domain, on test and on train, with the α that were chosen."""
    curves = run.curves.get("recall_by_alpha")
    if not curves:
        return None
    alphas, look, figure = run.curves["alphas"], styles(run), go.Figure()
    names = [domain for domain in run.domains if domain in curves]
    curve = Style(CURVE, "circle", "solid")
    for at, domain in enumerate(names):
        test, train = curves[domain]["test"], curves[domain]["train"]
        for index, metric in ((2 * at, "recall_at_10"), (2 * at + 1, "ndcg_at_10")):
            first = index == 0
            low, high = test.get(f"{metric}_ci_low"), test.get(f"{metric}_ci_high")
            extent = _range([*test[metric], *train[metric], *(low or []), *(high or [])])
            if low and high:
                figure.add_trace(marks.band(index, alphas, low, high, CURVE, "test", 0.16))
            chosen = {
                variant: places[domain]
                for variant, places in run.curves.get("alpha_of", {}).items()
                if domain in places and _marked(variant, run)
            }
            for variant, alpha in _apart(chosen).items():
                style = look.get(variant, curve)
                figure.add_trace(
                    go.Scatter(
                        x=[alpha, alpha],
                        y=extent,
                        mode="lines+markers",
                        name=variant,
                        legendgroup=variant,
                        showlegend=first,
                        line={"color": style.colour, "width": 1.8, "dash": style.dash},
                        marker={
                            "symbol": style.symbol,
                            "size": [0, 9],
                            "opacity": 1,
                            "color": style.colour,
                            "line": {"color": style.colour, "width": 1.5},
                        },
                        cliponaxis=False,
                        **panels.on(index),
                        hovertemplate=f"{variant}: α = {chosen[variant]}<extra></extra>",
                    )
                )
            figure.add_trace(
                marks.line(index, alphas, train[metric], curve._replace(dash="dot"), "train", False, first)
            )
            figure.add_trace(marks.line(index, alphas, test[metric], curve, "test, 95% band", True, first))
            panels.axis(figure, "y", index, range=extent)
            panels.axis(figure, "x", index, range=[-0.08, 1.08], tickvals=_ticks(alphas))
    grid = Grid(
        [
            panel
            for domain in names
            for panel in (Panel(domain, 230, "", "recall@10"), Panel(None, 150, ALPHA, "nDCG@10"))
        ],
        _paired_rows(len(names)),
    )
    narrow = grid.arrange(figure, legend=True)
    caption = (
        "What every fixed α would have scored: on test (line, 95% band), which no tuning saw, and on train "
        "(dotted). Upright lines mark the α that each variant chose, set side by side where they agree; a "
        "learner's is the one it picks in most seeds. Each panel has its own range. α = 0 is vector search "
        "alone, α = 1 BM25 alone."
    )
    return Picture("alpha", "What α does", caption, figure, narrow)


def posterior(run: Run) -> list[Picture]:
    """What each learner believes of every α, and how often it tried it, by domain, at the step that a slider picks."""
    curves = run.curves.get("posterior") or {}
    alphas, steps = run.curves.get("alphas", []), curves.get("step", [])
    if not steps:
        return []
    return [
        _posterior(run, variant, domains, alphas, steps, curves["seeds"])
        for variant, domains in curves["variants"].items()
    ]


def _posterior(
    run: Run, variant: str, domains: dict[str, Any], alphas: Sequence[float], steps: Sequence[int], seeds: int
) -> Picture:
    """Everything is drawn as it is at the last step; the slider puts an earlier step's numbers in."""
    colour, figure = styles(run)[variant].colour, go.Figure()
    names = [domain for domain in run.domains if domain in domains]
    moving: list[int] = []  # the traces that a step changes: beliefs and pulls, by turns
    for at, domain in enumerate(names):
        arms, top, below, first = domains[domain], 2 * at, 2 * at + 1, at == 0
        prior, mean, sd, true = (np.asarray(arms[key]) for key in ("prior_mean", "mean", "sd", "true_mean"))
        figure.add_trace(marks.line(top, alphas, prior, Style(NEUTRAL, "circle", "dash"), "prior mean", False, first))
        figure.add_trace(
            marks.line(top, alphas, true, Style(TRUTH, "circle", "solid"), "true mean on train", False, first)
        )
        moving += [len(figure.data), len(figure.data) + 1]
        figure.add_trace(
            go.Scatter(
                x=alphas,
                y=mean[-1],
                mode="markers",
                name=f"{variant}'s belief ± sd",
                showlegend=first,
                legendgroup="belief",
                error_y={"type": "data", "array": sd[-1], "thickness": 1.6, "width": 0},
                marker={"color": colour, "size": 9},
                hovertemplate="α %{x}: %{y:.3f}<extra></extra>",
                **panels.on(top),
            )
        )
        figure.add_trace(
            go.Bar(
                x=alphas,
                y=arms["pull_share"][-1],
                marker={"color": tint(colour, 0.75)},
                showlegend=False,
                hovertemplate="α %{x}: %{y:.1%} of pulls<extra></extra>",
                **panels.on(below),
            )
        )
        learned = _range([*(mean - sd).ravel(), *(mean + sd).ravel(), *true])
        whole = _range([*learned, *prior])
        wide = whole[1] - whole[0] > PRIOR_ROOM * (learned[1] - learned[0])
        panels.axis(figure, "y", top, range=learned if wide else whole)
        highest = 1.05 * max(map(max, arms["pull_share"]))
        panels.axis(figure, "y", below, tickformat=".0%", range=[0, highest], nticks=4)
        for index in (top, below):
            panels.axis(figure, "x", index, range=[-0.06, 1.06], tickvals=_ticks(alphas))
    grid = Grid(
        [panel for domain in names for panel in (Panel(domain, 240, "", "reward"), Panel(None, 80, ALPHA, "pulls"))],
        _paired_rows(len(names)),
    )
    narrow = grid.arrange(figure, legend=True)
    narrow["height"] += SLIDER
    figure.update_layout(
        bargap=0.35,
        height=figure.layout.height + SLIDER,
        margin={"b": figure.layout.margin.b + SLIDER},
        sliders=[_slider([domains[name] for name in names], moving, steps)],
    )
    caption = (
        f"Top: the mean reward that {variant} believes each α to bring after so many queries of a domain as the slider "
        f"says (dot ± one standard deviation, averaged over {seeds:,} seeds), the prior it set out from (dashed; "
        f"standard deviation {_spread(domains)}), and the truth on train (line). Bottom: how it spent its pulls until "
        "then; it stays unsure where it stopped looking. Each panel has its own range; a far-off prior runs out of it."
    )
    return Picture(f"posterior-{variant}", f"What {variant} believes of each α", caption, figure, narrow)


def _slider(domains: Sequence[dict[str, Any]], moving: Sequence[int], steps: Sequence[int]) -> dict[str, Any]:
    """Puts a step's beliefs and pulls in the traces `moving`."""
    none: list[float] = []  # a pull has no error bar
    rows = [[arms[key][at] for arms in domains for key in ("mean", "pull_share")] for at in range(len(steps))]
    bars = [[row for arms in domains for row in (arms["sd"][at], none)] for at in range(len(steps))]
    return {
        "active": len(steps) - 1,
        "pad": {"t": SLIDER - 16},
        "currentvalue": {"prefix": "queries of a domain: ", "xanchor": "left"},
        "steps": [
            {
                "label": str(step),
                "method": "restyle",
                "args": [
                    {"y": rows[at], "error_y.array": bars[at]},
                    list(moving),
                ],
            }
            for at, step in enumerate(steps)
        ],
    }


def _marked(variant: str, run: Run) -> bool:
    """The treatment and the plain references that choose an α; BM25 and dense are the ends of the axis."""
    return variant == run.treatment or (variant.startswith("static") and variant == base(variant))


def _apart(chosen: dict[str, float]) -> dict[str, float]:
    """Variants that chose the same α set side by side, `APART` from one to the next."""
    apart = {}
    for alpha in set(chosen.values()):
        sharing = [variant for variant, value in chosen.items() if value == alpha]
        for at, variant in enumerate(sharing):
            apart[variant] = alpha + APART * (at - (len(sharing) - 1) / 2)
    return {variant: apart[variant] for variant in chosen}


def _spread(domains: dict[str, Any]) -> str:
    """The prior's standard deviation in words: one number, or from the least to the greatest."""
    each = [value for arms in domains.values() for value in arms["prior_sd"]]
    least, most = wording.number(round(min(each), 3)), wording.number(round(max(each), 3))
    return least if least == most else f"{least} to {most}"


def _paired_rows(count: int) -> list[list[int]]:
    """Rows of upper panels (even numbers), each over its row of lower ones."""
    per_row = min(count, ACROSS - 1)
    starts = range(0, count, per_row or 1)
    return [
        [2 * at + lower for at in range(start, min(start + per_row, count))] for start in starts for lower in (0, 1)
    ]


def _range(values: Sequence[float]) -> list[float]:
    low, high = float(min(values)), float(max(values))
    pad = 0.05 * (high - low) or 0.01
    return [low - pad, high + pad]


def _ticks(alphas: Sequence[float]) -> list[float]:
    return [alpha for alpha in (0, 0.2, 0.4, 0.6, 0.8, 1) if alphas and min(alphas) <= alpha <= max(alphas)]
