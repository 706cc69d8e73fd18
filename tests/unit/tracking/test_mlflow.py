"""MLflow's tracker: what it records, in a real store."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from tracked import FINGERPRINT, RECALL, REGRET, children, client, new_run, new_tracker

from rag_lab.errors import ConfigError


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with an awkward name and a store in it, shared by the tests that only add runs."""
    folder = tmp_path_factory.mktemp("a place, 100% né")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


@pytest.fixture(scope="module")
def run_folder(place: Path) -> Path:
    folder = place / "runs" / "week2" / "stamp"
    folder.mkdir(parents=True)
    for name in ("summary.json", "report.html", "events.jsonl"):
        (folder / name).write_text(name)
    return folder


@pytest.fixture(scope="module")
def recorded(run_folder: Path) -> str:
    """The id of a whole run with two variants and a curve."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        tracker = new_tracker(curve_points=5)
        run_id = tracker.start(new_run())
        tracker.curve("thompson", REGRET, range(1, 11), [n / 10 for n in range(1, 11)])
        tracker.variants(
            {"thompson": {RECALL: 0.75, "cost/usd_per_1k_queries": math.nan}, "static": {RECALL: 0.5}},
            {"thompson": {"optuna.trial": "3"}},
            "static",
        )
        tracker.finish({RECALL: 0.75, "error_rate": math.inf}, run_folder, "finished")
        return run_id


def test_nothing_is_written_outside_runs(place: Path, recorded: str) -> None:
    assert [entry.name for entry in place.iterdir()] == ["runs"]
    assert sorted(entry.name for entry in (place / "runs").iterdir()) == ["artifacts", "mlflow.db", "week2"]


def test_run_has_its_name_tags_and_flat_parameters(recorded: str) -> None:
    run = client().get_run(recorded)
    assert (run.info.run_name, run.info.status) == ("thompson", "FINISHED")
    assert run.data.tags.items() >= {"seed": "0", "data.hash": FINGERPRINT}.items()
    assert "mlflow.parentRunId" not in run.data.tags
    assert run.data.params == {
        "seed": "0",
        "data.max_passages": "null",
        "data.domains": "{}",
        "alphas": "[0, 0.5]",
    }
    assert run.data.metrics == {RECALL: 0.75}  # infinity is absent
    assert client().get_experiment(run.info.experiment_id).name == "week2"


def test_data_set_is_an_input_of_the_run(recorded: str) -> None:
    (entry,) = client().get_run(recorded).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("packaged", FINGERPRINT[:36])
    assert entry.dataset.source == '{"uri": "data=packaged"}'
    assert entry.dataset.profile == '{"general": {"passages": 3}}'


def test_each_variant_is_a_child_run(recorded: str) -> None:
    runs = children(recorded)
    assert set(runs) == {"thompson", "static"}
    assert runs["static"].data.metrics == {RECALL: 0.5}
    assert runs["thompson"].data.metrics == {RECALL: 0.75, REGRET: 1.0}  # NaN is absent
    assert runs["thompson"].data.tags["variant"] == "thompson"
    assert runs["thompson"].data.tags["optuna.trial"] == "3"
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_curve_is_thinned_and_keeps_its_ends(recorded: str) -> None:
    history = client().get_metric_history(children(recorded)["thompson"].info.run_id, REGRET)
    points = sorted((point.step, point.value) for point in history)
    assert len(points) == 5
    assert (points[0], points[-1]) == ((1, 0.1), (10, 1.0))
    assert all(value == step / 10 for step, value in points)


def test_small_files_of_the_folder_are_artifacts(place: Path, recorded: str) -> None:
    assert {file.path for file in client().list_artifacts(recorded)} == {"summary.json", "report.html"}
    (kept,) = (place / "runs" / "artifacts" / "week2").rglob("summary.json")
    assert kept.read_text() == "summary.json"


def test_more_than_a_batch_of_everything(recorded: str, run_folder: Path) -> None:
    tracker = new_tracker()
    params = {"long": "x" * 7000, "odd key, né=1": 1, "many": {f"n{n}": n for n in range(250)}}
    run_id = tracker.start(new_run(params=params, tags={f"tag{n}": "y" * 9000 for n in range(3)}))
    tracker.variants(
        {"static": {f"metric/{n}": n for n in range(2100)}},
        {"static": {f"tag{n}": "z" for n in range(120)}},
        None,
    )
    tracker.curve("static", REGRET, range(2000), [float(n) for n in range(2000)])
    tracker.finish({}, run_folder, "finished")
    run, child = client().get_run(run_id), children(run_id)["static"]
    assert len(run.data.params) == 252
    assert len(run.data.params["long"]) == 6000
    assert run.data.params["odd key_ né_1"] == "1"
    assert len(run.data.tags["tag0"]) == 8000
    assert child.data.metrics["metric/2099"] == 2099
    assert child.data.tags["tag119"] == "z"
    assert len(client().get_metric_history(child.info.run_id, REGRET)) == 500


def test_short_curves_are_kept_whole(recorded: str, run_folder: Path) -> None:
    tracker = new_tracker(curve_points=2)
    run_id = tracker.start(new_run())
    for metric, length in (("none", 0), ("one", 1), ("two", 2), ("three", 3)):
        tracker.curve("static", metric, range(length), [0.0] * length)
    tracker.finish({}, run_folder, "finished")
    child = children(run_id)["static"]
    steps = {
        name: [p.step for p in client().get_metric_history(child.info.run_id, name)] for name in child.data.metrics
    }
    assert steps == {"one": [0], "two": [0, 1], "three": [0, 2]}


@pytest.mark.parametrize(("status", "shown"), [("failed", "FAILED"), ("killed", "KILLED")])
def test_a_run_that_ends_badly_says_so(recorded: str, run_folder: Path, status: str, shown: str) -> None:
    tracker = new_tracker()
    run_id = tracker.start(new_run())
    tracker.variants({"static": {RECALL: 0.5}}, {}, None)
    tracker.finish({}, run_folder, status)
    assert client().get_run(run_id).info.status == shown
    assert children(run_id)["static"].info.status == shown
    tracker.finish({}, run_folder, "finished")  # a second call changes nothing
    assert client().get_run(run_id).info.status == shown


def test_a_run_that_cannot_start_is_failed(recorded: str) -> None:
    before = {run.info.run_id for run in client().search_runs(["1"])}
    with pytest.raises(TypeError, match="not JSON serializable"):
        new_tracker().start(new_run(dataset=new_run().dataset._replace(profile={"x": object()})))
    (left,) = (run for run in client().search_runs(["1"]) if run.info.run_id not in before)
    assert left.info.status == "FAILED"


def test_runs_of_a_sweep_have_one_parent(recorded: str, run_folder: Path) -> None:
    tracker = new_tracker()
    parent = tracker.sweep_parent("week2", "policy=static,thompson", {"seed": "0"})
    for policy in ("static", "thompson"):
        job = new_tracker()
        job.start(new_run(run_name=f"policy={policy}", parent_run_id=parent))
        job.finish({}, run_folder, "finished")
    tracker.end_sweep(parent, "finished")
    assert set(children(parent)) == {"policy=static", "policy=thompson"}
    run = client().get_run(parent)
    assert (run.info.run_name, run.info.status) == ("policy=static,thompson", "FINISHED")
    assert run.data.tags["seed"] == "0"


def test_the_environment_names_another_store(
    place: Path, recorded: str, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = f"sqlite:///{tmp_path}/deep/other.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
    tracker = new_tracker()
    run_id = tracker.start(new_run(experiment="elsewhere"))
    tracker.finish({}, run_folder, "finished")
    assert MlflowClient(tracking_uri=other).get_run(run_id).info.status == "FINISHED"
    assert list((place / "runs" / "artifacts" / "elsewhere").rglob("summary.json"))
    assert [entry.name for entry in place.iterdir()] == ["runs"]
    assert tracker.open_command().endswith('-m mlflow ui --backend-store-uri "$MLFLOW_TRACKING_URI"')


def test_a_deleted_experiment_is_named(recorded: str, run_folder: Path) -> None:
    tracker = new_tracker()
    tracker.start(new_run(experiment="unwanted"))
    tracker.finish({}, run_folder, "finished")
    found = client().get_experiment_by_name("unwanted")
    client().delete_experiment(found.experiment_id)
    with pytest.raises(ConfigError, match=f"experiments restore --experiment-id {found.experiment_id}`"):
        new_tracker().start(new_run(experiment="unwanted"))


def test_tags_can_be_set_on_the_run_itself(place: Path, run_folder: Path) -> None:
    tracker = new_tracker()
    run_id = tracker.start(new_run())
    tracker.tag({"target.w1.e2e_p95": "met: p95 of 600 answers"})
    tracker.finish({}, run_folder, "finished")
    assert client().get_run(run_id).data.tags["target.w1.e2e_p95"] == "met: p95 of 600 answers"


def test_rows_are_recorded_with_their_steps_on_a_variant_or_on_the_run(recorded: str, run_folder: Path) -> None:
    tracker = new_tracker()
    run_id = tracker.start(new_run())
    tracker.rows("static", [("window/latency_ms/e2e_p50", 2, 1.5), ("window/latency_ms/e2e_p50", 4, float("nan"))])
    tracker.rows(None, [("system/cpu_utilization_percentage", step, 10.0 * step) for step in (2, 4)])
    tracker.finish({}, run_folder, "finished")
    (own,) = client().get_metric_history(children(run_id)["static"].info.run_id, "window/latency_ms/e2e_p50")
    assert (own.step, own.value) == (2, 1.5)
    found = client().get_metric_history(run_id, "system/cpu_utilization_percentage")
    assert sorted((one.step, one.value) for one in found) == [(2, 20.0), (4, 40.0)]
