"""What the tests of tracking record, and how they look at what was recorded."""

from __future__ import annotations

from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from rag_lab.tracking import mlflow as tracking
from rag_lab.tracking import mlflow_store
from rag_lab.tracking.tracker import DatasetInfo, RunInfo

FINGERPRINT = "0123456789abcdef" * 4
RECALL, REGRET = "retrieval/recall_at_10", "bandit/cumulative_regret"


def new_tracker(curve_points: int = 500) -> tracking.MlflowTracker:
    return tracking.build(store="sqlite:///runs/mlflow.db", artifacts="runs/artifacts", curve_points=curve_points)


def new_run(**changes: object) -> RunInfo:
    run = RunInfo(
        experiment="week2",
        run_name="thompson",
        folder=Path("runs") / "week2" / "stamp",
        params={"seed": 0, "data": {"max_passages": None, "domains": {}}, "alphas": [0, 0.5]},
        tags={"seed": "0", "data.hash": FINGERPRINT},
        dataset=DatasetInfo("packaged", FINGERPRINT, "data=packaged", {"general": {"passages": 3}}),
    )
    return run._replace(**changes)


def client() -> MlflowClient:
    return MlflowClient(tracking_uri=mlflow_store.uri("sqlite:///runs/mlflow.db"))


def children(of: str) -> dict[str, Run]:
    parent = client().get_run(of)
    found = client().search_runs([parent.info.experiment_id], filter_string=f"tags.`mlflow.parentRunId` = '{of}'")
    return {run.info.run_name: run for run in found}
