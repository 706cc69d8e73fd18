"""Figures of how the learners learn, from `curves.json`: cumulative regret and convergence.

Both are pure functions of the run and return None where nothing learned or the run wrote no such curve.
Means and bands are over seeds; regret is in recall@10 (a share in [0, 1] a query), added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import plotly.graph_objects as go

from rag_lab.report import marks, panels
from rag_lab.report.figures import Picture, in_rows
from rag_lab.report.panels import Grid, Panel
from rag_lab.report.run import Run
from rag_lab.report.style import NEUTRAL, STANDING, base, styles

ROOM = 2.5  # a fixed setting's regret beyond this many times the learners' leaves the panel
FEW = 4  # learners beside the one under test, at first sight
FIRST_LOOK = (
    "Regret and convergence are of the policy under test, of fixed settings and of the "
    f"{FEW} other learners that lose least; those of all are in curves.json."
)
BUDGET = 100  # queries per domain: where the roadmap asks for convergence (target w2.convergence)


def first_look(run: Run) -> Run:
    """The run with the curves that two eyes can follow: of the one under test, of fixed settings, of the `FEW` other
    learners that lose least, and of the contrasts, which are no variants."""
    curves = dict(run.curves)
    played = curves.get("regret", {}).get("variants", {})
    others = [name for name in played if name == base(name) and name not in STANDING and name != run.treatment]
    best = sorted(others, key=lambda name: played[name]["mean"][-1])[:FEW]
    left_out = played.keys() - {*best, *STANDING, run.treatment}
    for part in ("regret", "convergence"):
        if part in curves:
            kept = {name: one for name, one in curves[part].get("variants", {}).items() if name not in left_out}
            curves[part] = {**curves[part], "variants": kept}
    return replace(run, curves=curves)


def regret(run: Run) -> Picture | None:
    """Cumulative regret by step, with the band from the 10th to the 90th percentile over seeds."""
    curves = run.curves.get("regret") or {}
    learners = [name for name, band in curves.get("variants", {}).items() if _moves(band)]
    if not learners:
        return None
    look, steps, figure = styles(run), curves["step"], go.Figure()
    bands = {  # a fixed setting and its twin by the true domain are next to the same line
        name: band for name, band in curves["variants"].items() if name in learners or not name.endswith("_true_domain")
    }
    for variant, band in _treatment_last(bands, run):
        if variant in learners:
            figure.add_trace(marks.band(0, steps, band["low"], band["high"], look[variant].colour, variant))
        figure.add_trace(marks.line(0, steps, band["mean"], look[variant], variant, variant == run.treatment))
    grid = Grid([Panel(None, 380, "queries seen in each domain", f"cumulative regret ({curves['unit']})")], [[0]])
    narrow = grid.arrange(figure, legend=True)
    top, left_out = _top(bands, learners)
    least = min(0.0, *(float(min(trace.y)) for trace in figure.data))
    panels.axis(figure, "y", 0, range=[1.1 * least, 1.04 * top], zeroline=least < 0, zerolinecolor=NEUTRAL)
    panels.axis(figure, "x", 0, range=[min(steps), max(steps)])
    figure.update_layout(hovermode="x")
    last = sorted((band["mean"][-1], variant) for variant, band in bands.items())
    caption = (
        f"{curves['unit']} lost against always playing each domain's best α, added up over the train stream "
        f"and averaged over domains: lower is better, flat means learned. Line: mean over {curves['seeds']:,} "
        f"seeds; band: 10th to 90th percentile. After {steps[-1]} queries: "
        + ", ".join(f"{variant} {value:.1f}" for value, variant in last)
        + (". Lines that leave the panel do so at the pace these numbers give." if left_out else ".")
        + (
            " Below zero: better than the best α, as a richer action set or a choice for each query can be."
            if least < 0
            else ""
        )
    )
    return Picture("regret", "Cumulative regret", caption, figure, narrow)


def convergence(run: Run) -> Picture | None:
    """The share of seeds that have converged by each step: the mean over domains, then each domain."""
    curves = run.curves.get("convergence") or {}
    if not curves.get("variants"):
        return None
    look, steps, figure = styles(run), curves["step"], go.Figure()
    places = ["mean", *run.domains]
    for index, place in enumerate(places):
        panels.line(figure, index, x=BUDGET, dash="dash")
        for variant, shares in _treatment_last(curves["variants"], run):
            if place in shares:
                figure.add_trace(
                    marks.line(
                        index,
                        steps,
                        shares[place],
                        look[variant],
                        variant,
                        variant == run.treatment,
                        index == 0,
                        "%{y:.0%}",
                    )
                )
        panels.axis(figure, "y", index, range=[-0.02, 1.02], tickformat=".0%", nticks=6)
        panels.axis(figure, "x", index, range=[min(steps), max(steps)], nticks=6)
    grid = Grid(
        [
            Panel(
                "mean over domains" if place == "mean" else place,
                230,
                "queries seen in each domain",
                "seeds converged",
            )
            for place in places
        ],
        in_rows(len(places)),
        shared_y=True,
    )
    narrow = grid.arrange(figure, legend=True)
    shares = {
        variant: float(np.interp(BUDGET, steps, values["mean"]))
        for variant, values in curves["variants"].items()
        if "mean" in values
    }
    told = ", ".join(f"{variant} {share:.0%}" for variant, share in sorted(shares.items(), key=lambda item: -item[1]))
    caption = (
        f"The share of {curves['seeds']:,} seeds whose greedy α, from that step on until the horizon, keeps "
        f"at least {curves['threshold']:.0%} of the best α's true train reward. By {BUDGET} queries "
        f"(dashed), mean over domains{'' if BUDGET in steps else ', roughly'}: {told}."
    )
    return Picture("convergence", "How soon it converges", caption, figure, narrow)


def _moves(band: Mapping[str, Any]) -> bool:
    """Whether seeds differ: a fixed setting has no band."""
    return bool(band.get("low")) and band["low"] != band["high"]


def _top(bands: Mapping[str, Any], learners: Sequence[str]) -> tuple[float, bool]:
    """How high the axis of regret reaches, and whether a fixed setting runs out of it.

    All learners fit; a fixed setting that loses more than `ROOM` times as much would flatten them all.
    """
    lost = {name: float(max(band.get("high") or band["mean"])) for name, band in bands.items()}
    most = max(lost[name] for name in learners)
    shown = [value for value in lost.values() if value <= ROOM * most]
    return max(shown), len(shown) < len(lost)


def _treatment_last(variants: dict[str, Any], run: Run) -> list[tuple[str, Any]]:
    return sorted(variants.items(), key=lambda item: item[0] == run.treatment)
