"""Routers held against each other on made-up outcomes in which it is known what pays."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unit.economy.offers import ACTIONS, DOMAINS, LARGE, build, outcomes

from rag_lab.economy.choice import lattice
from rag_lab.economy.outcomes import Outcomes
from rag_lab.economy.router import Setting
from rag_lab.errors import ConfigError
from rag_lab.experiment import routing, summary, worth
from rag_lab.experiment.lab import COST
from rag_lab.experiment.routed import DIVERSITY, HINDSIGHT, QUALITY, REFERENCE, WASTED, Material, Plan, play_all
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.significance import Estimate
from rag_lab.report import actions

QUERIES = 300


def joined() -> tuple[Outcomes, np.ndarray]:
    """Train and test queries in turn, with a score that some answers lack."""
    given, context = outcomes(QUERIES, seed=5)
    grounded = np.where(given.quality > 0.55, given.quality, np.nan)
    return given._replace(scores={"answer/groundedness": grounded}), context


def material(**changes: Any) -> Material:
    given, context = joined()
    made = Material(
        domains=DOMAINS,
        queries=tuple(f"q{number}" for number in range(QUERIES)),
        domain=context,
        context=np.where(np.arange(QUERIES) % 9 == 0, len(DOMAINS), context),
        cluster=np.arange(QUERIES) // 3,
        test=np.arange(QUERIES) % 2 == 1,
        actions=ACTIONS,
        outcomes=given,
    )
    return made._replace(**changes)


def plan(treatment: str = "pareto", **changes: Any) -> Plan:
    routers = {
        "pareto": build("pareto", preference={"cost": 1.0, "quality": 3.0, "diversity": 0.0}),
        REFERENCE: build(REFERENCE),
        "cascade": build("cascade"),
        "random_mix": build("random_mix"),
    }
    return Plan(treatment, routers, lattice(4), resamples=300, seed=0)._replace(**changes)


def investigate(material: Material, plan: Plan) -> summary.Findings:
    return routing.judge(play_all(material, plan), plan)


@pytest.fixture(scope="module")
def found() -> summary.Findings:
    return investigate(material(), plan())


def test_routing_spends_less_for_about_the_same_quality(found: summary.Findings) -> None:
    """The large tier pays on hard queries alone, and that is what the features tell."""
    assert found.metrics["economy/cost_change_ci_high"] < -0.2
    (mean,) = [row for row in found.comparisons if row.family == "primary" and row.domain == "mean"]
    assert mean.metric == QUALITY and mean.baseline == REFERENCE and mean.ci_low > -0.05
    assert mean.difference == pytest.approx(found.metrics["economy/quality_change"])


def test_a_router_that_looks_is_worth_more_than_mixing_and_single_actions(found: summary.Findings) -> None:
    metrics = found.metrics
    assert metrics["pareto/hypervolume"] > metrics["pareto/hypervolume_singles"]
    assert metrics["economy/cost_at_equal_quality"] <= 0
    assert metrics[COST] < found.variants["random_mix"][COST]


def test_no_routed_action_is_dominated_and_fronts_are_right(found: summary.Findings) -> None:
    assert found.metrics[WASTED] == 0 == found.metrics[f"{WASTED}_ci_high"]
    assert found.variants["random_mix"][WASTED] > 0 and found.variants["random_mix"][HINDSIGHT] >= 0
    verdicts = {row.id: row for row in found.targets}
    assert verdicts["w2.pareto_waste"].verdict == "met" and verdicts["w2.pareto_waste"].value == 0
    if importlib.util.find_spec("moocore"):
        assert verdicts["w2.pareto_exact"].verdict == "met" and verdicts["w2.pareto_exact"].value == 1
    others = [row for name, row in verdicts.items() if not name.startswith("w2.pareto")]
    assert {row.verdict for row in others} == {"not measured"} and all(row.why for row in others)


def test_every_router_has_every_metric_with_its_interval(found: summary.Findings) -> None:
    for metrics in found.variants.values():
        for name in (QUALITY, COST, DIVERSITY, WASTED, HINDSIGHT):
            for place in ("", *(f"{domain}/" for domain in DOMAINS)):
                low, value, high = (metrics[f"{place}{name}{end}"] for end in ("_ci_low", "", "_ci_high"))
                assert low <= value <= high


def test_a_score_that_some_answers_lack_is_a_mean_of_those_that_have_it(found: summary.Findings) -> None:
    metrics = found.variants[REFERENCE]
    assert 0 < metrics["answer/groundedness_n"] < QUERIES / 2 and "answer/groundedness_ci_low" not in metrics
    test, _ = joined()
    train = material().part(test=False)
    chosen = int(build(REFERENCE).init(Setting(train.domains, train.actions, train.outcomes, train.context)))
    own = test.scores["answer/groundedness"][1::2, chosen]
    domain = joined()[1][1::2]
    expected = np.mean([np.nanmean(own[domain == number]) for number in range(len(DOMAINS))])
    assert metrics["answer/groundedness"] == pytest.approx(expected)


def test_comparisons_name_their_families(found: summary.Findings) -> None:
    families = {row.family for row in found.comparisons}
    assert families == {"primary", "exploratory quality", "exploratory cost"}
    assert {row.baseline for row in found.comparisons if row.family == "exploratory cost"} == {
        REFERENCE, "cascade", "random_mix",
    }  # fmt: skip


def test_the_summary_and_the_figure_take_what_is_found(found: summary.Findings) -> None:
    document = summary.compose({}, found)
    summary.plain(document)
    drawn = summary.plain(found.curves)["economy"]
    assert [step["label"] for step in drawn["steps"]][-1] == "as configured" and drawn["start"] == 15
    assert all(sum(step["share"]) == pytest.approx(1) for step in drawn["steps"])
    assert drawn["hulls"]["singles"][0]["name"] in drawn["labels"]

    picture = actions.chosen(SimpleNamespace(curves={"economy": drawn}))  # type: ignore[arg-type]
    assert picture is not None and len(picture.figure.layout.sliders[0].steps) == 16


def test_queries_without_every_score_are_left_out_and_counted() -> None:
    given, _ = joined()
    holes = given.quality.copy()
    holes[:10, 0] = np.nan
    few = plan(routers={name: plan().routers[name] for name in ("random_mix", REFERENCE)}, treatment="random_mix")
    found = investigate(material(outcomes=given._replace(quality=holes)), few)
    assert found.notes[0] == "10 queries lack a score under some action and take no part in routing."


def test_a_router_without_beliefs_has_no_front_to_waste() -> None:
    found = investigate(material(), plan("cascade"))
    verdicts = {row.id: row for row in found.targets}
    assert verdicts["w2.pareto_waste"].verdict == "not measured" and WASTED not in found.metrics
    assert found.metrics["pareto/hypervolume"] > 0


def test_a_stream_s_gate_is_heard_of() -> None:
    spoilt = joined()[0]
    spoilt = spoilt._replace(quality=np.where(LARGE & material().test[:, None], 0.05, spoilt.quality))
    quality = {"cost": 0.0, "quality": 1.0, "diversity": 0.0}
    gate = {"answers": 10, "gain": 0.0, "deviations": 2.0}
    routers = {"pareto": build("pareto", preference=quality, quality_gate=gate), REFERENCE: build(REFERENCE)}
    found = investigate(material(outcomes=spoilt), plan(routers=routers, sweep={}))
    assert any("switched off 'large'" in note for note in found.notes)


def test_what_is_missing_is_said() -> None:
    with pytest.raises(ConfigError, match=r"^the routers lack 'best_single'"):
        investigate(material(), plan(routers={"pareto": build("pareto")}))
    with pytest.raises(ConfigError, match=r"^'finance' has no test query with every score"):
        investigate(material(test=(np.arange(QUERIES) % 2 == 1) & (joined()[1] == 0)), plan())


class Still:
    """A resampler that draws the same every time."""

    def estimate(self, values: np.ndarray) -> Estimate:
        return Estimate(np.array([values.mean()]), np.full((5, 1), values.mean()))


def test_worth_by_hand() -> None:
    """Numbers that never differ: intervals have no width."""

    def point(cost: float, quality: float) -> np.ndarray:
        return np.tile(np.array([[cost], [quality], [0.5]]), 2)

    found = worth.measure(
        Still(),  # type: ignore[arg-type]
        singles={"a": point(1, 0.4), "b": point(4, 0.8)},
        swept={"cheap": point(1, 0.5)},
        treatment=point(3, 0.9),
        reference=point(4, 0.8),
        dearest=4.0,
    )
    assert found.metrics["economy/cost_change"] == pytest.approx(-0.25)
    assert found.metrics["economy/quality_change"] == pytest.approx(0.1)
    assert found.metrics["economy/cost_against_mix"] == pytest.approx(3 / 4 - 1)  # no single action is as good
    assert found.metrics["economy/cost_at_equal_quality"] == pytest.approx((1 + 2 * 0.75) / 4 - 1)
    assert found.metrics["economy/quality_at_equal_cost"] == pytest.approx(0.1)
    assert found.metrics["pareto/hypervolume_singles"] == pytest.approx(0.5 * 0.75 * 0.4)
    assert [one["name"] for one in found.curves["hulls"]["router"]] == ["cheap", "treatment"]


def test_what_no_mix_helps_is_no_gain() -> None:
    low, high = np.array([[1.0], [0.4], [0.5]]), np.array([[2.0], [0.8], [0.5]])
    found = worth.measure(Still(), {"a": low}, {}, treatment=low, reference=high, dearest=2.0)  # type: ignore[arg-type]
    assert found.metrics["economy/cost_at_equal_quality"] == found.metrics["economy/quality_at_equal_cost"] == 0


def test_verdicts_come_from_intervals() -> None:
    rows = {row.id: row for row in worth.judge({"w2.pareto_waste": (Interval(0.1, 0.05, 0.2), "?"), "w2.recall": "no"})}
    assert rows["w2.pareto_waste"].verdict == "missed" and rows["w2.recall"].why == "no"
    assert rows["w2.pareto_exact"].verdict == "not measured" and rows["w2.convergence"].why
