"""Runs in MLflow: one run, a child run per variant, curves as stepped metrics, the data set as an input.

Importing MLflow takes a second or more, so it happens inside the methods. Every method may raise ConfigError:
the store cannot be used, and why.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.tracking import mlflow_store
from rag_lab.tracking.tracker import RunInfo, Status

if TYPE_CHECKING:
    from mlflow import MlflowClient

Item = TypeVar("Item")
ARTIFACTS = (
    "summary.json",
    "report.html",
    "resolved.yaml",
    "recommended.yaml",
    "per_query.parquet",
    "curves.json",
    "data_card.md",
    "best.yaml",  # these are a sweep's
    "pareto.yaml",
    "trials.csv",
    "study.html",
)
# MLflow's limits.
METRICS_PER_BATCH, PAIRS_PER_BATCH = 1000, 100
PARAM_CHARACTERS, TAG_CHARACTERS, DIGEST_CHARACTERS = 6000, 8000, 36

log = logging.getLogger(__name__)


class MlflowTracker:
    """Records one run at a time."""

    def __init__(self, store: str, artifacts: str, curve_points: int) -> None:
        self.store, self.artifacts, self.curve_points = store, Path(artifacts), curve_points
        self._client: MlflowClient | None = None
        self._experiment_id = ""
        self._run_id: str | None = None
        self._children: dict[str, str] = {}

    def start(self, run: RunInfo) -> str:
        """Open the run with its parameters, tags and data set; its id."""
        with self._connected() as client:
            self._experiment_id = self._experiment(client, run.experiment)
            tags = {**run.tags, "run.folder": str(run.folder)}
            if run.parent_run_id:
                tags["mlflow.parentRunId"] = run.parent_run_id
            created = client.create_run(self._experiment_id, tags=_tags(tags), run_name=run.run_name)
            self._run_id, self._children = created.info.run_id, {}
            try:
                _log_params(client, self._run_id, run.params)
                _log_dataset(client, self._run_id, run)
            except BaseException:
                client.set_terminated(self._run_id, "FAILED")
                raise
            return self._run_id

    def variants(
        self,
        metrics: Mapping[str, Mapping[str, float]],
        tags: Mapping[str, Mapping[str, str]],
        baseline: str | None,
    ) -> None:
        """Record each variant in a child run of its own, tagged `variant` and `baseline_run_id`."""
        with self._connected() as client:
            held_against = {} if baseline is None else {"baseline_run_id": self._child(client, baseline)}
            for variant, values in metrics.items():
                child = self._child(client, variant)
                _log_metrics(client, child, [(name, value, 0) for name, value in values.items()])
                _log_tags(client, child, {**tags.get(variant, {}), **({} if variant == baseline else held_against)})

    def curve(self, variant: str, metric: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Record a metric of one variant over steps, thinned evenly to `curve_points`, ends kept."""
        points = min(len(steps), self.curve_points)
        kept = [round(n * (len(steps) - 1) / max(points - 1, 1)) for n in range(points)]
        with self._connected() as client:
            child = self._child(client, variant)
            _log_metrics(client, child, [(metric, float(values[n]), int(steps[n])) for n in kept])

    def rows(self, variant: str | None, rows: Iterable[tuple[str, int, float]]) -> None:
        """Record (metric, step, value) rows of one variant, or of the run itself."""
        with self._connected() as client:
            run_id = str(self._run_id) if variant is None else self._child(client, variant)
            _log_metrics(client, run_id, [(metric, value, step) for metric, step, value in rows])

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags on the run itself."""
        with self._connected() as client:
            _log_tags(client, str(self._run_id), tags)

    def finish(self, metrics: Mapping[str, float], artifacts: Path, status: Status) -> None:
        """Record the run's own metrics and the small files of its folder; close it and its children."""
        if self._run_id is None:
            return
        run_id, self._run_id = self._run_id, None
        with self._connected() as client:
            try:
                _log_metrics(client, run_id, [(name, value, 0) for name, value in metrics.items()])
                self._log_artifacts(client, run_id, artifacts)
            finally:
                for closing in (*self._children.values(), run_id):
                    client.set_terminated(closing, status.upper())

    def open_command(self) -> str | None:
        """The shell command that opens the MLflow UI, as typed in the working directory."""
        python = shlex.quote(_shortest(Path(sys.executable)))
        if uri := mlflow_store.from_environment():  # not written out: it may hold a password
            command = "mlflow ui --backend-store-uri" if mlflow_store.is_database(uri) else "webbrowser"
            return f'{python} -m {command} "${mlflow_store.URI_VARIABLE}"'
        store = self.store
        if store.startswith(mlflow_store.SQLITE):
            store = mlflow_store.SQLITE + _shortest(Path(store.removeprefix(mlflow_store.SQLITE)))
        return f"{python} -m mlflow ui --backend-store-uri {shlex.quote(store)}"

    def sweep_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str:
        """Open the run that the runs of a sweep belong to; its id, for `RunInfo.parent_run_id`."""
        with self._connected() as client:
            experiment_id = self._experiment(client, experiment)
            run_id: str = client.create_run(experiment_id, tags=_tags(tags), run_name=name).info.run_id
            return run_id

    def end_sweep(self, run_id: str | None, status: Status, artifacts: Path | None = None) -> None:
        """Close what `sweep_parent` opened, with the small files of the sweep's folder."""
        if run_id is not None:
            with self._connected() as client:
                if artifacts is not None:
                    self._log_artifacts(client, run_id, artifacts)
                client.set_terminated(run_id, status.upper())

    @contextmanager
    def _connected(self) -> Iterator[MlflowClient]:
        uri = mlflow_store.uri(self.store)
        with mlflow_store.errors_in_one_line(uri):
            self._client = self._client or mlflow_store.connect(uri, self.artifacts.absolute())
            yield self._client

    def _experiment(self, client: MlflowClient, name: str) -> str:
        """The experiment's id; it is created where it does not exist."""
        from mlflow import MlflowException

        found = client.get_experiment_by_name(name)
        if found is None:
            ours = mlflow_store.is_database(mlflow_store.uri(self.store))
            location = (self.artifacts.absolute() / name).as_uri() if ours else None
            try:
                return client.create_experiment(name, artifact_location=location)
            except MlflowException:  # another run may have created it meanwhile
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        if found.lifecycle_stage == "deleted":
            raise ConfigError(
                f"the MLflow experiment {name!r} is deleted, so it takes no runs: restore it with "
                f"`mlflow experiments restore --experiment-id {found.experiment_id}`, "
                "or run with tracking=jsonl"
            )
        return found.experiment_id

    def _child(self, client: MlflowClient, variant: str) -> str:
        """The id of the variant's child run; it is created at first use."""
        if variant not in self._children:
            tags = {"mlflow.parentRunId": str(self._run_id), "variant": variant}
            run = client.create_run(self._experiment_id, tags=tags, run_name=variant)
            self._children[variant] = run.info.run_id
        return self._children[variant]

    def _log_artifacts(self, client: MlflowClient, run_id: str, folder: Path) -> None:
        """Copy the small files of the run's folder to where the experiment keeps files."""
        place, ours = client.get_run(run_id).info.artifact_uri, self.artifacts.absolute().as_uri()
        if mlflow_store.from_environment() is None and not place.startswith(ours):
            log.warning("MLflow keeps no files of this run: %s is not under %s; was it moved?", place, ours)
            return
        for name in ARTIFACTS:
            if (folder / name).is_file():
                client.log_artifact(run_id, str(folder / name))


def _log_metrics(client: MlflowClient, run_id: str, rows: Sequence[tuple[str, float, int]]) -> None:
    """Record (name, value, step) rows; a value that is not finite is absent, and absent is not zero."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    finite = [row for row in rows if math.isfinite(row[1])]
    metrics = [Metric(name, float(value), now_ms, step) for name, value, step in finite]
    for batch in _batches(metrics, METRICS_PER_BATCH):
        client.log_batch(run_id, metrics=batch)


def _log_params(client: MlflowClient, run_id: str, params: Mapping[str, object]) -> None:
    from mlflow.entities import Param

    for batch in _batches([Param(key, value) for key, value in _flat("", params)], PAIRS_PER_BATCH):
        client.log_batch(run_id, params=batch)


def _log_tags(client: MlflowClient, run_id: str, tags: Mapping[str, str]) -> None:
    from mlflow.entities import RunTag

    for batch in _batches([RunTag(key, value) for key, value in _tags(tags).items()], PAIRS_PER_BATCH):
        client.log_batch(run_id, tags=batch)


def _log_dataset(client: MlflowClient, run_id: str, run: RunInfo) -> None:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        name=run.dataset.name,
        digest=run.dataset.fingerprint[:DIGEST_CHARACTERS],
        source_type="local",
        source=json.dumps({"uri": run.dataset.source}),
        profile=json.dumps(run.dataset.profile),
    )
    tags = [InputTag("mlflow.data.context", "evaluation")]
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, tags)])


def _flat(prefix: str, value: object) -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted key, text), lists and single values as JSON; keys made legal."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), item)
    elif prefix:
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        yield re.sub(r"[^\w./ :-]", "_", prefix), text[:PARAM_CHARACTERS]


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {key: value[:TAG_CHARACTERS] for key, value in tags.items()}


def _batches(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _shortest(path: Path) -> str:
    """The path as seen from the working directory, where it lies inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def build(
    *, store: str, artifacts: str, curve_points: Annotated[int, Field(ge=2, le=METRICS_PER_BATCH)]
) -> MlflowTracker:
    """The tracker of a store (`sqlite:///` and a path, or any that MLflow takes).

    artifacts: folder for the files of experiments that a database store creates. curve_points: the most
    points of a curve.
    """
    return MlflowTracker(store, artifacts, curve_points)
