"""One configuration into one run folder: build the stages, load the data, let the experiment work, record it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import yaml
from rich.console import Console

from rag_lab import wiring
from rag_lab.assets import atomic
from rag_lab.config import GROUPS
from rag_lab.errors import ConfigError, DataError, GateFailed
from rag_lab.experiment import summary
from rag_lab.experiment.lab import CACHE, Lab
from rag_lab.report import page, run, terminal
from rag_lab.telemetry import windows
from rag_lab.telemetry.document import Facts
from rag_lab.telemetry.session import Measured
from rag_lab.tracking.jsonl import Events
from rag_lab.tracking.progress import Bars
from rag_lab.tracking.tracker import DatasetInfo, RunInfo, Status, Tracker
from rag_lab.tracking.trial import Pruned
from rag_lab.types import Dataset

WINDOWS = 500  # of a run are kept by the tracker: a point for every other pixel of a plot
RESERVED = {"mean", "otherwise", "all"}


class Job(NamedTuple):
    """What is to be run. config: resolved; choices: each group's variant; name: of the run, among its siblings;
    tags: for the tracker, beside those of every run."""

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    command: str
    name: str
    parent_run_id: str | None
    tags: Mapping[str, str] = MappingProxyType({})


def execute(job: Job, console: Console) -> dict[str, Any]:
    """Run a job; the content of its summary.json.

    ConfigError and DataError are raised before anything is recorded. GateFailed is raised after everything is,
    if the configuration asks for it and a target was missed or an alert rings. An interruption or a fault is recorded
    as such.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    stages = {stage: wiring.build(_node(job.config, stage), stage) for stage in GROUPS}
    events = Events(job.folder / "events.jsonl")
    events.emit("started", experiment=stages["experiment"].name, command=job.command)
    progress = Bars(console, events)
    dataset: Dataset = stages["data"](int(job.config["seed"]), progress)
    for reserved in RESERVED & set(dataset.domains):
        raise ConfigError(f"a domain is called '{reserved}', which the results use for themselves; rename it")
    if getattr(stages["experiment"], "needs_data", True) and not dataset.collections:
        raise ConfigError(f"data={dataset.name} has no domain, and this experiment needs one; give data=packaged")
    events.emit("data", name=dataset.name, fingerprint=dataset.fingerprint)
    lab = Lab(
        config=job.config,
        choices=job.choices,
        folder=job.folder,
        dataset=dataset,
        encoder=stages["encoder"],
        detector=stages["detector"],
        retriever=stages["retriever"],
        prices=stages["prices"],
        search=stages["search"],
        progress=progress,
        events=events,
    )
    stages["experiment"].check(lab)
    stages["telemetry"].check()
    _keep_compilations()

    head = _head(job, stages["experiment"].name, dataset, started)
    tracker: Tracker = stages["tracking"]
    _write_text(
        job.folder / "resolved.yaml",
        yaml.safe_dump({**job.config, "variant_names": dict(job.choices)}, sort_keys=False),
    )
    _write_text(job.folder / "data_card.md", dataset.card)
    head["run_id"] = tracker.start(_info(job, stages["experiment"].name, head, dataset)) or head["run_id"]
    measured = _measured(stages["telemetry"], job, head, events)
    try:
        findings = stages["experiment"].execute(lab)
        ended = measured.finish("finished", findings.metrics)
        document = summary.compose(head | {"status": "finished", "duration_s": time.monotonic() - clock}, findings)
        summary.write_json(job.folder / "curves.json", findings.curves)
        summary.write_json(job.folder / "summary.json", document)
        found = run.load(job.folder)
        page.write(found)
        _track(tracker, findings, measured)
        alerts = stages["alert"].judge(ended, found.treatment or next(iter(findings.variants), None))
        tracker.tag({f"alert.{one.rule}": f"{one.verdict}: {one.why}" for one in alerts if one.verdict != "not judged"})
        for one in alerts:
            events.emit("alert", **one._asdict())
    except BaseException as error:
        status: Status = "killed" if isinstance(error, KeyboardInterrupt | Pruned) else "failed"
        if isinstance(error, ConfigError | DataError):
            measured.discard()
        else:
            measured.finish(status, {})
        why = " ".join((str(error) or type(error).__name__).split())
        failed = head | {"status": "failed", "duration_s": time.monotonic() - clock, "failure": why}
        summary.write_json(job.folder / "summary.json", summary.compose(failed, summary.NOTHING))
        events.emit("failed", why=why)
        tracker.finish({}, job.folder, status)
        raise
    events.emit("finished", metrics=dict(findings.metrics))
    tracker.finish(findings.metrics, job.folder, "finished")
    _point_latest(job.folder)
    terminal.show(found, console)
    _sign_off(job, head, tracker, console)
    missed = [row.id for row in findings.targets if row.verdict == "missed"]
    rang = [one.rule for one in alerts if one.verdict == "ringing"]
    if job.config["gate"] and (missed or rang):
        said = [f"{what} {', '.join(names)}" for what, names in (("missed", missed), ("ringing:", rang)) if names]
        raise GateFailed(f"gate=true: {'; '.join(said)}; see {job.folder / 'report.html'}")
    return document


def _node(config: Mapping[str, Any], stage: str) -> Mapping[str, Any]:
    node = config.get(stage)
    if not isinstance(node, Mapping):
        raise ConfigError(f"{stage}: given {node!r}; choose one of its variants with {stage}=<name>")
    return node


def _head(job: Job, experiment: str, dataset: Dataset, started: datetime) -> dict[str, Any]:
    """What summary.json says of a run however it ends."""
    return {
        "schema": summary.SCHEMA,
        "run_id": "-".join(job.folder.parts[1:]),
        "experiment": experiment,
        "status": "failed",
        "started_at": started.isoformat(timespec="seconds"),
        "duration_s": 0.0,
        "command": job.command,
        "seed": int(job.config["seed"]),
        "device": summary.device(),
        "versions": summary.versions(),
        "git": summary.git(),
        "config_hash": summary.config_hash(job.config),
        "data": summary.describe(dataset),
    }


def _info(job: Job, experiment: str, head: Mapping[str, Any], dataset: Dataset) -> RunInfo:
    tags = {
        **job.tags,
        "config.hash": str(head["config_hash"]),
        "data.hash": dataset.fingerprint,
        "seed": str(head["seed"]),
        "device": str(head["device"]),
    }
    if head["git"]["sha"] is not None:
        tags |= {"git.sha": head["git"]["sha"], "git.dirty": str(head["git"]["dirty"]).lower()}
    source = ", ".join(f"{key}={value}" for key, value in dict(job.config["data"].get("domains", {})).items())
    data = DatasetInfo(dataset.name, dataset.fingerprint, source or dataset.name, head["data"]["domains"])
    return RunInfo(experiment, job.name, job.folder, job.config, tags, data, job.parent_run_id)


def _measured(telemetry: Any, job: Job, head: Mapping[str, Any], events: Events) -> Measured:
    """Let the run measure itself from here on."""
    facts = Facts(
        run_id=head["run_id"],
        experiment=head["experiment"],
        folder=str(job.folder),
        started_at=datetime.now(UTC).isoformat(),
        series=summary.series(job.config, head["data"]["fingerprint"], head["device"]),
        config_hash=head["config_hash"],
        data_fingerprint=head["data"]["fingerprint"],
        device=head["device"],
        seed=head["seed"],
        git_sha=head["git"]["sha"],
        pid=os.getpid(),
    )
    measured: Measured = telemetry.start(facts, events.emit)
    return measured


def _track(tracker: Tracker, findings: summary.Findings, measured: Measured) -> None:
    """Hand the variants' metrics, the verdicts, the regret curves and the run's windows to the tracker."""
    tracker.variants(findings.variants, findings.tags, findings.baseline)
    tracker.tag({f"target.{row.id}": f"{row.verdict}: {row.why}".strip(": ") for row in findings.targets})
    regret = findings.curves.get("regret", {})
    for name, series in regret.get("variants", {}).items():
        tracker.curve(name, "bandit/regret_by_step", regret["step"], series["mean"])
    kept = windows.thinned(measured.windows, WINDOWS)
    tracker.rows(None, windows.of_machine(kept))
    for name in findings.variants:
        tracker.rows(name, windows.of_variant(kept, name))


def _keep_compilations() -> None:
    """Let XLA keep its compiled programs under runs/, so that a repeated run does not compile."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str((CACHE / "jax").absolute()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _point_latest(folder: Path) -> None:
    """Make runs/latest a link to this run's folder."""
    runs, target = Path("runs").resolve(), folder.resolve()
    with atomic.write(runs / "latest") as temporary:
        temporary.symlink_to(target.relative_to(runs) if target.is_relative_to(runs) else target)


def _write_text(path: Path, text: str) -> None:
    with atomic.write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _sign_off(job: Job, head: Mapping[str, Any], tracker: Tracker, console: Console) -> None:
    """The last lines printed: where everything is."""
    console.print()
    console.print(f"run folder   {job.folder}  (open {job.folder / 'report.html'})", soft_wrap=True, highlight=False)
    console.print(f"run id       {head['run_id']}", soft_wrap=True, highlight=False)
    command = tracker.open_command()
    if command:
        console.print(f"MLflow UI    {command}", soft_wrap=True, highlight=False)
