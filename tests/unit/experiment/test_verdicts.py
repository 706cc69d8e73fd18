"""Verdicts from intervals worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rag_lab.experiment import verdicts
from rag_lab.experiment.lab import COST, RECALL
from rag_lab.experiment.verdicts import Convergence, Measured
from rag_lab.metrics.significance import Comparison, Estimate
from rag_lab.metrics.targets import TARGETS, Judged

NOISE = np.linspace(-0.01, 0.01, 201)


def estimate(value: float, noise: np.ndarray = NOISE) -> Estimate:
    """One domain and the mean over domains, alike, with resamples around the value."""
    return Estimate(np.array([value, value]), np.repeat(value + noise[:, None], 2, axis=1))


def primary(low: float, high: float, p: float) -> Comparison:
    return Comparison(
        "primary", RECALL, "ours", "static_tuned", "law", (low + high) / 2, 0.0, low, high, p, p, 10, 0.1
    )  # fmt: skip


def judged(
    ours: float,
    balanced: float = 0.5,
    tuned: float = 0.5,
    cost: float = 1.0,
    comparison: Comparison | None = None,
    convergence: Convergence | None = None,
    without: tuple[str, ...] = (),
    clusters: int = 50,
) -> dict[str, Judged]:
    values = {"ours": ours, "static": balanced, "static_tuned": tuned}
    estimates = {(name, RECALL): estimate(value) for name, value in values.items() if name not in without}
    costs = {"ours": cost, "static": 1.0, "static_tuned": 1.0}
    estimates |= {(name, COST): estimate(value, NOISE * 0) for name, value in costs.items() if name not in without}
    reference = None if "static_tuned" in without else "static_tuned"
    rows = [comparison] if comparison else []
    found = Measured(
        treatment="ours",
        action_set="alpha",
        bandit=None if convergence is None else "ours",
        reference=reference,
        estimates=estimates,
        comparisons=rows,
        convergence=convergence,
        domains=("law",),
        cost_changes=(-0.1, 0.1),
        fewest_clusters=clusters,
        gap_closed={},
    )
    return {row.id: row for row in verdicts.judge(found)}


def test_every_target_has_a_row_and_only_week_2_s_are_measured() -> None:
    rows = judged(0.5)
    assert list(rows) == [target.id for target in TARGETS]
    for name, row in rows.items():
        if row.verdict == "not measured":
            assert row.value is None and row.ci_low is None and row.ci_high is None and row.why, name
    assert {name for name, row in rows.items() if row.value is not None} == {
        "w2.recall",
        "w2.beats_static",
        "w2.cost",
    }


@pytest.mark.parametrize(("ours", "says"), [(0.6, "met"), (0.56, "inconclusive"), (0.52, "missed")])
def test_recall_is_judged_by_its_relative_change_over_the_balanced_static(ours: float, says: str) -> None:
    """+20%, +12% and +4%, each ± about 2 points (paired: ours and the static move together)."""
    row = judged(ours)["w2.recall"]
    assert row.verdict == says and row.baseline == 0.5
    assert row.value == pytest.approx(ours / 0.5 - 1)
    ends = sorted((ours + end) / (0.5 + end) - 1 for end in np.quantile(NOISE, [0.025, 0.975]))
    assert (row.ci_low, row.ci_high) == pytest.approx(tuple(ends), abs=1e-6)


def test_what_a_run_lacks_is_not_measured_and_said() -> None:
    assert "'static' among the references" in judged(0.6, without=("static",))["w2.recall"].why
    assert "'static' among the references" in judged(0.6, without=("static",))["w2.cost"].why
    assert "static_tuned" in judged(0.6, without=("static_tuned",))["w2.beats_static"].why
    assert judged(0.6)["w2.convergence"].why == "'ours' does not learn, nor does another policy of this run"


def test_a_tie_with_the_tuned_static_does_not_beat_it() -> None:
    """Equal resample by resample: the interval is [0, 0], all of it short of more than 0."""
    row = judged(0.5, tuned=0.5, comparison=primary(0.0, 0.0, 1.0))["w2.beats_static"]
    assert (row.value, row.ci_low, row.ci_high, row.verdict) == (0, 0, 0, "missed")
    assert "significant after Holm on no domain" in row.why and "on every domain" in row.why


def test_beating_the_tuned_static_names_the_domains() -> None:
    row = judged(0.6, tuned=0.5, comparison=primary(0.05, 0.15, 0.001))["w2.beats_static"]
    assert row.verdict == "met" and row.value == pytest.approx(0.1)
    assert "significant after Holm on law;" in row.why
    worse = judged(0.4, tuned=0.5, comparison=primary(-0.15, -0.05, 0.001))["w2.beats_static"]
    assert worse.verdict == "missed" and "not shown on law" in worse.why and "no domain" in worse.why


def test_cost_falls_only_at_recall_not_worse() -> None:
    assert judged(0.5, cost=0.7)["w2.cost"].verdict == "met"
    assert judged(0.5, cost=0.9)["w2.cost"].verdict == "missed"
    row = judged(0.4, cost=0.7)["w2.cost"]  # cheap, at ten points of recall
    assert row.verdict == "inconclusive" and "not shown to be not worse" in row.why
    assert "-10.0% to +10.0%" in row.why


def test_convergence_is_the_share_of_seeds() -> None:
    row = judged(0.5, convergence=Convergence(0.35, 0.33, 0.37, 250.0, {"flat prior": 0.2}, 500, 1000))[
        "w2.convergence"
    ]
    assert (row.value, row.ci_low, row.ci_high, row.verdict) == (0.35, 0.33, 0.37, "missed")
    assert "flat prior 0.20" in row.why and "median step 250" in row.why
    quick = Convergence(0.95, 0.91, 1.0, 20.0, {}, 500, 1000)
    assert judged(0.5, convergence=quick)["w2.convergence"].verdict == "met"


@pytest.mark.parametrize(("horizon", "seeds"), [(499, 1000), (500, 999)])
def test_a_short_or_small_run_does_not_measure_convergence(horizon: int, seeds: int) -> None:
    found = Convergence(0.95, 0.91, 1.0, 20.0, {}, horizon, seeds)
    row = judged(0.5, convergence=found)["w2.convergence"]
    assert row.verdict == "not measured" and row.value is None
    assert "500 queries" in row.why and f"{horizon} queries and {seeds:,} seeds" in row.why


def test_few_clusters_carry_no_verdict() -> None:
    few = judged(0.9, clusters=9)
    assert {name for name, row in few.items() if row.verdict != "not measured"} == set()
    assert "9 clusters" in few["w2.recall"].why and "9 clusters" in few["w2.beats_static"].why
    assert judged(0.9, clusters=10)["w2.recall"].verdict == "met"


def test_nothing_is_relative_to_zero() -> None:
    row = judged(0.5, balanced=0.0)["w2.recall"]
    assert row.verdict == "not measured" and "'static' is 0" in row.why


def gap(ours: float, best_static: float, oracle: float) -> dict[str, float]:
    values = {"ours": ours, "static_tuned": best_static, "oracle_query": oracle}
    estimates = {(name, RECALL): estimate(value) for name, value in values.items()}
    return verdicts.gap_closed(estimates, "ours", "static_tuned", "")


def test_the_gap_closed_is_the_share_of_the_way_to_the_oracle() -> None:
    assert gap(0.55, 0.5, 0.6)["bandit/gap_closed"] == pytest.approx(0.5)
    assert gap(0.45, 0.5, 0.6)["bandit/gap_closed"] == pytest.approx(-0.5)
    found = gap(0.55, 0.5, 0.6)
    assert found["bandit/gap_closed_ci_low"] == pytest.approx(0.5) == found["bandit/gap_closed_ci_high"]


def test_no_gap_is_closed_where_there_is_none() -> None:
    assert gap(0.5, 0.5, 0.5) == {}
    assert verdicts.gap_closed({}, "ours", None, "") == {}
    assert verdicts.gap_closed({}, "ours", "static_tuned", "_rich") == {}
