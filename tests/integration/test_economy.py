"""The economy's experiment through the real command, made small: its files agree with each other, and what it cannot
do it says in one line.
"""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas
import pytest
from command import Done, Warm, Workplace
from pyarrow import parquet

import rag_lab
from rag_lab.economy.actions import Space
from rag_lab.experiment.routed import QUALITY, REFERENCE

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text(encoding="utf-8"))
SPACE = Space(("small",), (1, 3), (1.0, 0.5), (128, 2048))
ECONOMY = (
    "+experiment=economy", "data.max_passages=600", "data.max_queries=90", "experiment.resamples=200",
    "experiment.routing.sweep_steps=2", "experiment.routing.candidates=20", "experiment.routing.actions.passages=[1,3]",
    "experiment.routing.actions.mmr=[1.0,0.5]", "experiment.routing.actions.context_tokens=[128,2048]",
    "experiment.routing.references=[best_single,random_mix,cascade,knn]", "tracking=jsonl",
)  # fmt: skip
ROUTERS = {"pareto", REFERENCE, "random_mix", "cascade", "knn"}


@pytest.fixture(scope="module")
def place(session_folder: Path) -> Workplace:
    return Workplace(session_folder / "economy")


@pytest.fixture(scope="module")
def done(place: Workplace) -> Done:
    found = place("economy", *ECONOMY)
    assert found.status == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def rows(done: Done) -> pandas.DataFrame:
    return parquet.read_table(done.folder / "per_query.parquet").to_pandas()


@pytest.mark.network
def test_every_router_answers_every_test_query_by_an_action_of_the_space(done: Done, rows: pandas.DataFrame) -> None:
    assert set(rows.variant) == set(done.summary["variants"]) == ROUTERS
    assert set(rows.action) <= {action.label for action in SPACE.actions()}
    counts = rows.groupby("variant").query_id.nunique()
    assert counts.nunique() == 1 and (rows.groupby("variant").size() == counts).all()
    assert (rows.split == "test").all() and rows.loc[rows.variant == REFERENCE, "action"].nunique() == 1


@pytest.mark.network
def test_the_summary_is_what_the_queries_say(done: Done, rows: pandas.DataFrame) -> None:
    jsonschema.validate(done.summary, SCHEMA)
    for name, own in rows.groupby("variant"):
        metrics = done.summary["variants"][name]
        by_domain = own.groupby("domain")
        assert metrics[QUALITY] == pytest.approx(by_domain.answer_quality.mean().mean())
        assert metrics["cost/usd_per_1k_queries"] == pytest.approx(1000 * by_domain.cost_usd.mean().mean())
    (primary,) = [one for one in done.summary["comparisons"] if one["family"] == "primary" and one["domain"] == "mean"]
    assert (primary["treatment"], primary["baseline"], primary["metric"]) == ("pareto", REFERENCE, QUALITY)


@pytest.mark.network
def test_targets_of_the_router_are_judged_and_drawn(done: Done) -> None:
    judged = {row["id"]: row["verdict"] for row in done.summary["targets"]}
    assert judged["w2.pareto_waste"] == judged["w2.pareto_exact"] == "met"
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert all(f'id="{name}"' in page for name in ("spending", "cost-quality", "actions"))
    assert "Routers" in done.stdout and "▸ pareto" in done.stdout


@pytest.mark.network
def test_again_it_only_reads_what_was_answered(place: Workplace, done: Done) -> None:
    again = place("again", *ECONOMY)
    assert again.summary["variants"] == done.summary["variants"]
    kept = sorted((place.folder / "runs" / ".cache" / "answers").glob("*.npz"))
    assert kept and max(path.stat().st_mtime for path in kept) < (again.folder / "resolved.yaml").stat().st_mtime
    with np.load(kept[0]) as arrays:
        assert arrays["quality"].shape[1] == len(SPACE.actions())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("experiment.routing.references=[best_singel]",), "did you mean 'best_single'?"),
        (("generator@experiment.routing.tiers.small=lead",), "tiers.small: this generator does not bound its answers"),
        (("+generator@experiment.routing.tiers.huge=lead",), "tiers.huge: prices=frozen prices only small, large"),
        (("experiment.routing.actions.mmr=[1.5]",), "experiment.routing.actions.mmr.0: given 1.5"),
        (("router=fixed", "router.passages=7"), "router.passages: given 7; the action space has 1, 3"),
        (("experiment.routing.references=[best_single,fixed]",), "references.fixed.passages: given 10; the action"),
    ],
)  # fmt: skip
@pytest.mark.network
def test_what_cannot_be_is_said_in_one_line(warm: Warm, done: Done, options: tuple[str, ...], said: str) -> None:
    refused = warm(*ECONOMY, *options, cwd=done.cwd)
    assert refused.status == 2 and said in refused.stderr and refused.stderr.count("\n") == 1


def test_questions_without_answers_are_no_measure(warm: Warm, little: Path, here: Path) -> None:
    refused = warm("+experiment=economy", "data=beir", f"data.domains.law={little}", "tracking=jsonl", cwd=here)
    assert refused.status == 2 and "domain 'law' has no train query with a reference answer" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.network
def test_week_2_routes_too_where_it_is_asked_to(place: Workplace, done: Done) -> None:
    routed = place(
        "week2", "+experiment=week2", *ECONOMY[1:], "router=pareto", "policy=static", "references=[static_tuned]",
        "policy.actions=[alpha]", "experiment.robustness.policies=[]", "search.trials=0",
    )  # fmt: skip
    assert routed.status == 0, routed.stderr
    judged = {row["id"]: row["verdict"] for row in routed.summary["targets"]}
    assert judged["w2.pareto_waste"] == judged["w2.pareto_exact"] == "met" and judged["w2.recall"] != "met"
    assert routed.summary["metrics"]["pareto/hypervolume"] == done.summary["metrics"]["pareto/hypervolume"]
    assert ROUTERS.isdisjoint(routed.summary["variants"])
    assert 'id="cost-quality"' in (routed.folder / "report.html").read_text(encoding="utf-8")
