"""What a run leaves in MLflow: a run with a child per variant, the same numbers as summary.json."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest
from command import Done, steady
from mlflow import MlflowClient
from mlflow.entities import Run

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def store(packaged: Done) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{packaged.cwd / 'runs' / 'mlflow.db'}")


@pytest.fixture(scope="module")
def parent(packaged: Done, store: MlflowClient) -> Run:
    return store.get_run(packaged.summary["run_id"])


@pytest.fixture(scope="module")
def children(parent: Run, store: MlflowClient) -> dict[str, Run]:
    below = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    runs = store.search_runs([parent.info.experiment_id], filter_string=below, max_results=100)
    return {run.data.tags["variant"]: run for run in runs}


def test_the_run_s_metrics_are_the_summary_s(packaged: Done, parent: Run) -> None:
    assert parent.info.status == "FINISHED" and parent.info.run_name == "week2"
    assert steady(parent.data.metrics) == pytest.approx(steady(packaged.summary["metrics"]), abs=1e-12)


def test_every_variant_has_a_child_with_its_metrics(packaged: Done, children: dict[str, Run]) -> None:
    assert set(children) == set(packaged.summary["variants"])
    for name, run in children.items():
        own = {key: value for key, value in run.data.metrics.items() if key != "bandit/regret_by_step"}
        assert own == pytest.approx(packaged.summary["variants"][name], abs=1e-12)
        assert run.info.status == "FINISHED" and run.info.run_name == name
        assert ("bandit/regret_by_step" in run.data.metrics) == (not name.startswith(("oracle", "learned")))


def test_the_regret_curve_ends_at_the_cumulative_regret(
    packaged: Done, store: MlflowClient, children: dict[str, Run]
) -> None:
    points = store.get_metric_history(children["thompson"].info.run_id, "bandit/regret_by_step")
    steps = [point.step for point in points]
    assert steps == sorted(steps) and steps[-1] == 60
    last = packaged.summary["variants"]["thompson"]["bandit/cumulative_regret"]
    assert points[-1].value == pytest.approx(last, abs=1e-9)


def test_the_tags_of_the_contract_are_set(packaged: Done, parent: Run, children: dict[str, Run]) -> None:
    summary, tags = packaged.summary, parent.data.tags
    assert tags["config.hash"] == summary["config_hash"] and tags["data.hash"] == summary["data"]["fingerprint"]
    assert tags["seed"] == "0" and tags["device"] == summary["device"]
    assert tags.get("git.sha") == summary["git"]["sha"]  # both absent outside a checkout
    assert summary["git"]["sha"] is None or tags["git.dirty"] == str(summary["git"]["dirty"]).lower()
    tuned = {name for name, run in children.items() if "optuna.study" in run.data.tags}
    assert tuned == {name for name in children if "tuned" in name}
    reference = next(row["baseline"] for row in summary["comparisons"] if row["family"] == "primary")
    assert children["thompson"].data.tags["baseline_run_id"] == children[reference].info.run_id


def test_the_named_studies_exist(packaged: Done, children: dict[str, Run]) -> None:
    with sqlite3.connect(packaged.cwd / "runs" / "studies.db") as database:
        kept = {name for (name,) in database.execute("select study_name from studies")}
    for run in children.values():
        assert set(filter(None, run.data.tags.get("optuna.study", "").split(","))) <= kept


def test_params_are_the_resolved_configuration_flat(packaged: Done, parent: Run) -> None:
    params = parent.data.params
    assert params["policy.prior_strength"] == "4.0" and params["seed"] == "0"
    assert params["experiment.seeds"] == "20" and params["data.max_passages"] == "600"
    assert json.loads(params["references"]) == packaged.resolved["references"]
    assert all(re.fullmatch(r"[\w./ :-]+", key) for key in params)


def test_the_data_set_is_an_input(packaged: Done, parent: Run) -> None:
    (given,) = parent.inputs.dataset_inputs
    assert packaged.summary["data"]["fingerprint"].startswith(given.dataset.digest)
    assert json.loads(given.dataset.profile) == packaged.summary["data"]["domains"]


def test_the_small_files_are_artifacts_under_runs(packaged: Done, parent: Run, store: MlflowClient) -> None:
    folder = packaged.cwd / "runs" / "artifacts" / "week2" / parent.info.run_id / "artifacts"
    assert Path(parent.info.artifact_uri.removeprefix("file://")) == folder
    kept = {path.name for path in folder.iterdir()}
    assert {"summary.json", "report.html", "resolved.yaml", "recommended.yaml", "per_query.parquet"} <= kept
    for name in kept:
        assert (folder / name).read_bytes() == (packaged.folder / name).read_bytes()


def test_the_last_line_opens_the_store(packaged: Done) -> None:
    last = packaged.stdout.rstrip().splitlines()[-1]
    assert re.fullmatch(r"MLflow UI +\S+ -m mlflow ui --backend-store-uri sqlite:///runs/mlflow\.db", last)


def test_the_environment_s_store_wins(packaged: Done, again: Done) -> None:
    other = packaged.cwd.with_name("other-store.db")
    elsewhere = MlflowClient(tracking_uri=f"sqlite:///{other}")
    run = elsewhere.get_run(again.summary["run_id"])
    assert steady(run.data.metrics) == pytest.approx(steady(again.summary["metrics"]), abs=1e-12)
    with sqlite3.connect(packaged.cwd / "runs" / "mlflow.db") as database:
        assert not database.execute("select 1 from runs where run_uuid = ?", (run.info.run_id,)).fetchall()
    assert "$MLFLOW_TRACKING_URI" in again.stdout.rstrip().splitlines()[-1]
    assert {path.name for path in again.cwd.iterdir()} == {"runs", "reports"}
