"""A multirun: one parent, a child per job, and a failed job stops no other; also where Optuna chooses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import optuna
import pytest
import yaml
from command import SMALL, WEEK2, Done, Workplace
from command import run as run_command
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


@pytest.fixture(scope="module")
def searched(session_folder: Path, little: Path) -> Done:
    """The issue's command made small: three trials of the real experiment, two at a time."""
    place = Workplace(session_folder / "searched")
    return place(
        "searched", "--multirun", "hydra/sweeper=optuna", WEEK2, "data=beir", f"data.domains.law={little}",
        "references=[bm25]", *SMALL, "policy.prior_strength=interval(0.1,50)", "hydra.sweeper.n_trials=3",
        "hydra.sweeper.n_jobs=2", "hydra.sweeper.study_name=belief",
    )  # fmt: skip


def test_optuna_chooses_the_jobs_of_a_sweep(searched: Done) -> None:
    assert searched.status == 0, searched.stderr
    assert searched.stderr == ""
    assert {path.name for path in searched.cwd.iterdir()} == {"runs", "reports"}
    assert re.search(r"^best: trial \d, train/retrieval/recall_at_10 \S+$", searched.stdout, re.MULTILINE)
    last = searched.stdout.splitlines()[-3:]
    assert [line.split()[0] for line in last] == ["sweep", "run", "MLflow"]
    (folder,) = searched.cwd.glob("runs/week2/*/best.yaml")
    assert last[0].split()[-1] == str(folder.parent.relative_to(searched.cwd))


def test_a_trial_is_a_child_run_with_its_number_and_study(searched: Done) -> None:
    store = client(searched)
    (parent,) = parents(store)
    assert parent.info.status == "FINISHED" and parent.data.tags["optuna.study"] == "belief"
    assert parent.info.run_id in searched.stdout
    trials = optuna.load_study(study_name="belief", storage=f"sqlite:///{searched.cwd / 'runs' / 'sweeps.db'}").trials
    children = {run.data.tags["optuna.trial"]: run for run in below(store, parent.info.run_id)}
    assert set(children) == {str(one.number) for one in trials} == {"0", "1", "2"}
    for one in trials:
        run, x = children[str(one.number)], one.params["policy.prior_strength"]
        assert run.data.tags["optuna.study"] == "belief" and run.info.status == "FINISHED"
        assert run.info.run_name == f"policy.prior_strength={x:.6g}"
        assert float(run.data.params["policy.prior_strength"]) == x
        summary = json.loads((searched.cwd / one.user_attrs["run"] / "summary.json").read_text(encoding="utf-8"))
        assert summary["run_id"] == run.info.run_id
        assert one.value == summary["train"]["retrieval/recall_at_10"]


def test_what_a_sweep_found_is_logged_with_its_run(searched: Done) -> None:
    store = client(searched)
    (parent,) = parents(store)
    assert {one.path for one in store.list_artifacts(parent.info.run_id)} == {
        "best.yaml",
        "study.html",
        "trials.csv",
    }


def test_the_command_of_a_trial_repeats_it(searched: Done) -> None:
    """What a sweep calls best is a run like any other."""
    (path,) = searched.cwd.glob("runs/week2/*/best.yaml")
    (best,) = yaml.safe_load(path.read_text(encoding="utf-8"))["trials"]
    again = run_command(*shlex.split(best["command"])[3:], cwd=searched.cwd)
    assert again.status == 0, again.stderr
    assert again.summary["train"]["retrieval/recall_at_10"] == best["values"]["train/retrieval/recall_at_10"]
    assert again.resolved["policy"]["prior_strength"] == float(best["overrides"][-1].partition("=")[2])


def test_a_trial_that_learned_less_is_ended_before_anything_is_tested(searched: Done, little: Path) -> None:
    """A threshold that no recall reaches: the first report, on train, ends every trial."""
    done = run_command(
        "--multirun", "hydra/sweeper=optuna", WEEK2, "data=beir", f"data.domains.law={little}", "tracking=jsonl",
        "references=[bm25]", *SMALL, "policy.prior_strength=interval(0.1,50)", "hydra.sweeper.n_trials=1",
        "hydra.sweeper.study_name=ended", "hydra.sweeper.pruner._target_=optuna.pruners.ThresholdPruner",
        "+hydra.sweeper.pruner.lower=1.5", cwd=searched.cwd,
    )  # fmt: skip
    assert done.status == 0 and done.stderr == "", done.stderr
    (ended,) = optuna.load_study(study_name="ended", storage=f"sqlite:///{searched.cwd / 'runs' / 'sweeps.db'}").trials
    assert ended.state.name == "PRUNED" and list(ended.intermediate_values) == [0]
    folder = searched.cwd / Path(ended.user_attrs["run"])
    assert not (folder / "per_query.parquet").exists() and not (folder / "report.html").exists()
