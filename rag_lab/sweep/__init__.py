"""A Hydra multirun whose jobs Optuna chooses (`hydra/sweeper=optuna`, conf/hydra/sweeper/optuna.yaml).

`space` reads what is searched, `methods` the sampler and the pruner, `storage` where the study is kept; `ledger`
claims and finishes its trials, `workers` run them, `drive` keeps both going, `results` tells what was found.
Whatever can be wrong with the settings shows itself before anything is recorded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import OmegaConf, open_dict

from rag_lab.errors import ConfigError, RagLabError
from rag_lab.sweep import ledger, methods, results, settings, space, storage, workers
from rag_lab.sweep.drive import Drive
from rag_lab.tracking.progress import console

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig
    from rich.console import Console

LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"
NO_MATTER = ("hydra", "tracking", "debug", "gate")  # parts of a configuration that no value depends on
NAME_DIGITS = 12


class Parent(NamedTuple):
    """The sweep's own run, if the tracker keeps one, and the command that shows it."""

    run_id: str | None
    open_command: str | None


class TrialsFailed(RagLabError):
    """Some trials of a sweep failed; the exit status is the highest of theirs."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_status = status


def run(
    arguments: Sequence[str],
    config: DictConfig,
    context: HydraContext,
    function: TaskFunction,
    open_parent: Callable[[dict[str, str]], Parent],
) -> None:
    """Bring the study of this sweep to its number of trials, and tell what was found.

    arguments: the command line's overrides, with marks. config: the multirun's own. function: the job.
    ConfigError where the settings cannot be, or the study is about something else; TrialsFailed at the end.
    """
    node: Any = OmegaConf.to_container(config.hydra.sweeper, resolve=True)
    wanted = settings.read(node)
    searched = space.read(wanted.params, arguments, context.config_loader)
    pruner = methods.pruner(wanted.pruner, f"{settings.WHERE}.pruner")
    # Some keep what they know of a study: the rehearsal has one of its own.
    rehearsing, sampler = (methods.sampler(wanted.sampler, wanted.seed, f"{settings.WHERE}.sampler") for _ in range(2))
    if config.hydra.launcher._target_ != LAUNCHER:
        raise ConfigError("hydra/launcher: a sweep starts its own processes; leave it out, give hydra.sweeper.n_jobs")

    url = storage.masked(wanted.storage)

    def compose(number: int, params: Mapping[str, Any]) -> DictConfig:
        composed = context.config_loader.load_sweep_config(config, [*searched.fixed, *searched.chosen(params)])
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
            # Hydra writes these down with every job.
            composed.hydra.sweeper.storage = url
            composed.hydra.overrides.hydra = [storage.masked(one) for one in composed.hydra.overrides.hydra]
        return composed

    first = compose(0, searched.first())  # a misspelt key shows itself here
    marks = {name: one.text for name, one in searched.dimensions.items()}
    terms = ledger.Terms([" ".join(one) for one in wanted.objectives], marks, _hash(first, searched, wanted))
    ledger.rehearse(terms, rehearsing, pruner, searched)
    name = wanted.study_name or f"{_experiment(config)}-{_digest(terms._asdict())}"
    folder = Path(config.hydra.sweep.dir)
    with storage.opened(wanted.storage) as kept:
        study = ledger.open_study(kept, url, name, terms, sampler, pruner)
        book = ledger.Ledger(study, kept, searched, wanted.n_trials, wanted.stale_after_s)
        parent = open_parent({"optuna.study": name})
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "multirun.yaml").write_text(storage.masked(OmegaConf.to_yaml(config)), encoding="utf-8")
        told, terminal = results.Told(study, url, wanted.objectives, searched, folder), console()
        drive = Drive(book, told, compose, parent.run_id, terminal)
        try:
            with workers.Workers(wanted.n_jobs, context, function) as crew:
                drive.run(crew)
        finally:
            book.release()
            results.write(told)
            results.show(told, terminal)
            _sign_off(folder, parent, terminal)
    if drive.failed:
        raise TrialsFailed(
            f"{len(drive.failed)} of the trials run here failed, or missed a target; see {folder / 'trials.csv'}",
            max(drive.failed),
        )


def _experiment(config: DictConfig) -> str:
    return str(OmegaConf.select(config, "experiment.name", default="sweep"))


def _hash(config: DictConfig, searched: space.Space, wanted: settings.Settings) -> str:
    """A hash of all settings that a trial's values depend on, and that are not searched. config: of some trial."""
    content: Any = OmegaConf.to_container(config, resolve=False)
    kept = {key: value for key, value in content.items() if key not in NO_MATTER}
    for name in searched.dimensions:
        *path, last = name.split(".")
        node: Any = kept
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            node.pop(last, None)
    return _digest([kept, dict(wanted.sampler), dict(wanted.pruner), wanted.seed])


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:NAME_DIGITS]


def _sign_off(folder: Path, parent: Parent, terminal: Console) -> None:
    """The last lines printed: where everything is."""
    lines = {"sweep folder": str(folder), "run id": parent.run_id, "MLflow UI": parent.open_command}
    terminal.print()
    for name, value in lines.items():
        if value:
            terminal.print(f"{name:<12} {value}", soft_wrap=True, highlight=False)
