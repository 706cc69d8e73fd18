"""Where an answer's time goes, layer by layer, through the real command: the baseline and week 1, made small.

Every layer's latency is in the trace of every answer and they add up; batched detection says what sequential says;
the metrics, the verdicts and the files are there. No time is asserted: a test must not fail because the machine is
busy.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from command import Done, Warm, Workplace, steady, tree
from mlflow import MlflowClient
from pyarrow import parquet

import rag_lab
from rag_lab.experiment.latency import STAGES
from rag_lab.experiment.live import frozen
from rag_lab.experiment.week1_verdicts import LEAST_CALLS
from rag_lab.metrics.targets import TARGETS
from rag_lab.tracking import jsonl

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text(encoding="utf-8"))
CUT = ("data.max_passages=600", "data.max_queries=90", "experiment.resamples=200", "experiment.requests=12")
BASELINE = ("+experiment=baseline", *CUT)
WEEK1 = (
    "+experiment=week1", *CUT, "experiment.detection.queries=12", "experiment.detection.batches=[2,10]",
    "experiment.detection.rounds=2", "experiment.detection.busy_s=0.3", "experiment.filtering.repeats=500",
    "experiment.filtering.decisions={100:5,1000:1}", "experiment.filtering.workers=[1,2]",
    "experiment.filtering.pool_items=[1000,5000]", "experiment.filtering.pool_rounds=2",
    "experiment.loop.noises=[0.0,0.3]", "experiment.loop.seeds=5", "experiment.loop.queries_per_domain=60",
)  # fmt: skip
SHARES = ("p50", "p95", "p99")
FEW = {  # what so small a run cannot measure, and why
    "w1.detect_p95": f"needs {LEAST_CALLS} real queries",
    "w1.e2e_p95": f"needs {LEAST_CALLS} answers",
    "w1.filter_throughput": "needs 1,000,000 items",
    "w1.filter_workers": "needs 1, 2, 4, 8 workers",
}


@pytest.fixture(scope="module")
def place(session_folder: Path) -> Workplace:
    return Workplace(session_folder / "layers")


@pytest.fixture(scope="module")
def baseline(place: Workplace) -> Done:
    done = place("baseline", *BASELINE, "tracking=jsonl")
    assert done.status == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def week1(place: Workplace) -> Done:
    done = place("week1", *WEEK1)
    assert done.status == 0, done.stderr
    return done


@pytest.fixture(params=["baseline", "week1"])
def either(request: pytest.FixtureRequest) -> Done:
    done: Done = request.getfixturevalue(request.param)
    return done


def curves(done: Done) -> dict[str, Any]:
    return json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))


def test_every_answer_has_the_latency_of_every_layer_and_they_add_up(either: Done) -> None:
    table = parquet.read_table(either.folder / "answers.parquet")
    for variant in set(table["variant"].to_pylist()):
        rows = [row for row in table.to_pylist() if row["variant"] == variant]
        assert [row["request"] for row in rows] == list(range(12))
        for row in rows:
            parts = [row[f"{stage}_ms"] for stage in STAGES if stage != "e2e"]
            assert min(parts) > 0 and sum(parts) == pytest.approx(row["e2e_ms"], rel=1e-9)
            assert row["answer"]


def test_percentiles_are_of_all_answers(either: Done) -> None:
    table = parquet.read_table(either.folder / "answers.parquet").to_pylist()
    for variant, metrics in either.summary["variants"].items():
        for stage in STAGES:
            taken = [row[f"{stage}_ms"] for row in table if row["variant"] == variant]
            expected = np.quantile(taken, [0.5, 0.95, 0.99])
            found = [metrics[f"latency_ms/{stage}_{share}"] for share in SHARES]
            np.testing.assert_allclose(found, expected)
            for share in SHARES:
                name = f"latency_ms/{stage}_{share}"
                assert metrics[f"{name}_ci_low"] <= metrics[name] <= metrics[f"{name}_ci_high"]


def test_the_run_is_a_run_like_any_other(either: Done) -> None:
    jsonschema.validate(either.summary, SCHEMA)
    assert either.summary["status"] == "finished" and either.summary["comparisons"] == []
    assert [row["id"] for row in either.summary["targets"]] == [target.id for target in TARGETS]
    kinds = [event["kind"] for event in jsonl.read(either.folder / "events.jsonl")]
    assert kinds[0] == "started" and kinds[-1] == "finished"
    for row in parquet.read_table(either.folder / "per_query.parquet").to_pylist():
        assert 0 <= row["recall_at_10"] <= 1 and 0 <= row["ndcg_at_10"] <= 1 and row["split"] == "test"
        assert row["latency_ms"] == row["e2e_ms"] > 0 and row["cost_usd"] > 0


def test_nothing_is_written_elsewhere(place: Workplace, baseline: Done, week1: Done) -> None:
    assert {path.name for path in place.folder.iterdir()} == {"runs", "reports"}
    written = tree(place.folder / "reports")
    assert {path for path in written if not path.startswith("metrics")} == {"perf-baseline.json"}


def test_the_baseline_is_kept_with_all_that_it_depends_on(baseline: Done) -> None:
    kept = json.loads((baseline.cwd / "reports" / "perf-baseline.json").read_text(encoding="utf-8"))
    summary = baseline.summary
    assert kept["metrics"] == summary["metrics"] == summary["variants"]["baseline"]
    assert kept["stages"] == {**frozen(), "encoder": "minilm"}
    assert kept["stream"] == {"length": 5000, "exponent": 1.0, "seed": 0, "answers": 12}
    assert kept["data_fingerprint"] == summary["data"]["fingerprint"]
    assert (kept["device"], kept["versions"], kept["git"]) == (
        summary["device"],
        summary["versions"],
        summary["git"],
    )
    for stage in STAGES:
        for share in SHARES:
            value, low, high = kept["percentiles"][stage][share]
            assert low <= value <= high and value == kept["metrics"][f"latency_ms/{stage}_{share}"]


def test_the_baseline_judges_nothing_of_itself(baseline: Done) -> None:
    for row in baseline.summary["targets"]:
        assert row["verdict"] == "not measured"
        assert ("+experiment=week1" in row["why"]) == row["id"].startswith("w1.")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("filter=jax", "rag_lab: filter=jax: the baseline is frozen with filter=scalar as its file says;"),
        (
            "policy.alpha=0.3",
            "rag_lab: policy=static: the baseline is frozen with policy=static as its file says;",
        ),
        ("encoder=vectors", "rag_lab: encoder=vectors only knows the vectors in its files; live text needs"),
    ],
)
def test_the_baseline_cannot_be_weakened(warm: Warm, tmp_path: Path, option: str, says: str) -> None:
    refused = warm(*BASELINE, option, "tracking=jsonl", cwd=tmp_path)
    assert refused.status == 2 and refused.stderr.startswith(says) and refused.stderr.count("\n") == 1
    assert tree(tmp_path) == set()


def test_week_1_without_a_filter_is_refused(warm: Warm, tmp_path: Path) -> None:
    refused = warm(*WEEK1, "filter=none", "tracking=jsonl", cwd=tmp_path)
    assert refused.status == 2 and "filter=none judges nothing; give filter=" in refused.stderr
    assert tree(tmp_path) == set()


def test_every_target_of_week_1_has_a_verdict_with_its_interval_or_a_reason(week1: Done) -> None:
    rows = {row["id"]: row for row in week1.summary["targets"] if row["id"].startswith("w1.")}
    metrics = week1.summary["metrics"]
    for name, why in FEW.items():
        assert rows[name]["verdict"] == "not measured" and rows[name]["why"].startswith(why), rows[name]
    assert rows["w1.gpu_util"]["verdict"] != "not measured" or "GPU" in rows["w1.gpu_util"]["why"]
    for name in set(rows) - set(FEW) - {"w1.gpu_util"}:
        row = rows[name]
        assert row["verdict"] in ("met", "missed", "inconclusive"), row
        assert row["ci_low"] <= row["value"] <= row["ci_high"] and row["why"]
        assert metrics[row["metric"]] == row["value"], name
        assert metrics[f"{row['metric']}_ci_low"] == row["ci_low"]
    for name in ("w1.filter_p95", "w1.filter_1000"):
        assert "against the frozen baseline" in rows[name]["why"]
    assert "asked −40%" in rows["w1.filter_p95"]["why"]


def test_batched_labels_equal_sequential_ones(week1: Done) -> None:
    row = next(row for row in week1.summary["targets"] if row["id"] == "w1.detect_accuracy")
    assert (row["value"], row["ci_low"], row["ci_high"], row["verdict"]) == (0, 0, 0, "met")
    assert week1.summary["metrics"]["detector/equal_labels"] == 1
    found = curves(week1)["detectors"]["variants"]
    for place, one in found["batched"]["quality"].items():
        assert one["confusion"] == found["sequential"]["quality"][place]["confusion"]


def test_nothing_else_is_lost(week1: Done) -> None:
    metrics = week1.summary["metrics"]
    assert metrics["equal_answers"] == 1 and metrics["filter/equal_decisions"] == 1


def test_ratios_are_metrics_of_their_own(week1: Done) -> None:
    metrics, variants = week1.summary["metrics"], week1.summary["variants"]
    for stage in STAGES:
        name = f"latency_ms/{stage}_p95"
        ratio = variants["optimised"][name] / variants["baseline"][name] - 1
        assert metrics[f"latency_change/{stage}_p95"] == pytest.approx(ratio)
        assert f"latency_change/{stage}_p95_ci_low" in metrics
    assert {"detector/latency_change", "filter/latency_change_100", "filter/latency_change_1000"} <= set(metrics)


def test_detectors_are_judged_on_easy_and_hard_questions(week1: Done) -> None:
    found = curves(week1)["detectors"]
    assert {"keyword", "sequential", "batched", "classifier"} <= set(found["variants"])
    for name, one in found["variants"].items():
        assert set(one["quality"]) == {"easy", "hard"}, name
        for quality in one["quality"].values():
            assert np.sum(quality["confusion"]) == quality["queries"] > 10
            low, high = quality["accuracy"][1:]
            assert low <= quality["accuracy"][0] <= high and 0 <= quality["calibration_error"] <= 1
    metrics = week1.summary["metrics"]
    assert metrics["detector/accuracy"] == metrics["detector/batched/easy/accuracy"]
    assert metrics["detector/macro_f1_ci_low"] <= metrics["detector/macro_f1"]


def test_the_filters_effect_is_there(week1: Done) -> None:
    levels = curves(week1)["effect"]["levels"]
    assert [level["noise"] for level in levels] == [0.0, 0.3]
    metrics = week1.summary["metrics"]
    for level in levels:
        value, low, high = level["saved"]
        assert low <= value <= high
        assert metrics[f"filter/regret_saved_{round(100 * level['noise'])}"] == value
    assert {"filter/precision", "filter/recall"} <= set(metrics)


def test_page_and_terminal_show_the_profile(week1: Done) -> None:
    page = (week1.folder / "report.html").read_text(encoding="utf-8")
    for name in ("latency", "detection", "filter"):
        assert f'<section id="{name}">' in page and f'href="#{name}"' in page
    for picture in ("profile", "batching", "effect"):
        assert f'id="{picture}"' in page
    assert 'id="results"' not in page  # no recall was measured, so none is missed
    for said in ("Where an answer's time goes", "l2 embed, detect", "Detectors", "What the filter saves a bandit"):
        assert said in week1.stdout
    assert max(map(len, week1.stdout.splitlines())) <= 120


def test_mlflow_has_the_verdicts(week1: Done) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{week1.cwd / 'runs' / 'mlflow.db'}")
    run = client.get_run(week1.summary["run_id"])
    for row in week1.summary["targets"]:
        assert run.data.tags[f"target.{row['id']}"].startswith(row["verdict"])
    assert steady(run.data.metrics) == pytest.approx(steady(week1.summary["metrics"]))
    found = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {one.info.run_name for one in found} == {"baseline", "optimised"}
