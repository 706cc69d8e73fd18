"""A multirun: one parent, a child per job, and one failed job does not stop the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import SMALL, WEEK2, Done, Workplace
from mlflow import MlflowClient

pytestmark = pytest.mark.network

JOBS = {f"policy={policy},seed={seed}" for policy in ("static", "thompson") for seed in (0, 1)}


def client(done: Done) -> MlflowClient:
    return MlflowClient(tracking_uri=f"sqlite:///{done.cwd / 'runs' / 'mlflow.db'}")


def below(client: MlflowClient, run_id: str) -> list:
    experiment = client.get_experiment_by_name("week2")
    return client.search_runs(
        [experiment.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{run_id}'", max_results=100
    )


def parents(client: MlflowClient) -> list:
    experiment = client.get_experiment_by_name("week2")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    return [run for run in runs if run.info.run_name.endswith("sweep")]


def test_every_job_ran(sweep: Done) -> None:
    assert sweep.status == 0, sweep.stderr
    assert sweep.stderr == ""
    assert sweep.stdout.count("\nrun folder ") == 4
    assert {path.name for path in sweep.cwd.iterdir()} == {"runs", "reports"}


def test_one_parent_with_a_child_for_each_job_named_by_what_was_swept(sweep: Done) -> None:
    store = client(sweep)
    (parent,) = parents(store)
    assert parent.info.status == "FINISHED" and parent.info.end_time
    assert "--multirun" in parent.data.tags["command"]
    children = below(store, parent.info.run_id)
    assert {run.info.run_name for run in children} == JOBS
    for run in children:
        assert run.info.status == "FINISHED"
        variants = {one.data.tags["variant"] for one in below(store, run.info.run_id)}
        assert {"static", "bm25", "oracle_query"} <= variants


def test_a_treatment_that_is_a_reference_runs_once_and_is_not_compared_with_itself(sweep: Done) -> None:
    folders = [path.parent for path in sweep.cwd.glob("runs/week2/*/*/summary.json")]
    assert len(folders) == 4
    summaries = [json.loads((path / "summary.json").read_text(encoding="utf-8")) for path in folders]
    static = [one for one in summaries if "policy=static" in one["command"]]
    assert len(static) == 2
    for summary in static:
        assert "thompson" not in summary["variants"]
        assert {row["treatment"] for row in summary["comparisons"]} == {"static"}
        assert "static" not in {row["baseline"] for row in summary["comparisons"]}
        verdicts = {row["id"]: row for row in summary["targets"]}
        assert verdicts["w2.convergence"]["verdict"] == "not measured"
        assert "does not learn" in verdicts["w2.convergence"]["why"]
        assert verdicts["w2.recall"]["verdict"] == "not measured"


@pytest.fixture(scope="module")
def broken(session_folder: Path, little: Path) -> Done:
    """A sweep over three values of which the middle one cannot be."""
    place = Workplace(session_folder / "broken")
    return place(
        "broken", "--multirun", WEEK2, "data=beir", f"data.domains.law={little}", *SMALL, "policy=static",
        "policy.alpha=0.3,1.5,0.2", "references=[bm25]",
    )  # fmt: skip


def test_a_failed_job_is_recorded_and_the_others_go_on(broken: Done) -> None:
    assert broken.status == 2
    assert broken.stdout.count("\nrun folder ") == 2
    (parent,) = (path.parent for path in broken.cwd.glob("runs/week2/*/multirun.yaml"))
    assert json.loads((parent / "0" / "summary.json").read_text(encoding="utf-8"))["status"] == "finished"
    assert "policy.alpha: given 1.5" in (parent / "1" / "failure.txt").read_text(encoding="utf-8")
    assert json.loads((parent / "2" / "summary.json").read_text(encoding="utf-8"))["status"] == "finished"
    store = client(broken)
    (run,) = parents(store)
    assert run.info.status == "FAILED"
    assert {one.info.run_name for one in below(store, run.info.run_id)} >= {"policy.alpha=0.3", "policy.alpha=0.2"}


def test_a_failed_job_says_why_in_one_line(broken: Done) -> None:
    assert broken.stderr == "rag_lab: policy.alpha: given 1.5; input should be less than or equal to 1\n"
