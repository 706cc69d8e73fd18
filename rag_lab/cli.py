"""The command: Hydra composes a configuration, `rag_lab.experiment` runs it, errors leave as one line.

Exit status: 0 finished; 2 the configuration or the input is bad; 3 `gate=true` and a target was missed; 130
interrupted; anything else is a fault, with its traceback. In a multirun a failed job is recorded, the others go
on, and the highest status ends it.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hydra.experimental.callback import Callback

from rag_lab import config, interruption
from rag_lab.errors import ConfigError
from rag_lab.explain import BAD_INPUT, INTERRUPTED, line, status
from rag_lab.tracking import trial

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from rag_lab.sweep import Parent
    from rag_lab.tracking.tracker import Status

MAX_SEED = 2**31
SWEEPER = "hydra_plugins.optuna_sweeper."
PLUGINS = Path(__file__).resolve().parent / "plugins"  # in a wheel its content stands beside the package
_statuses: list[int] = []  # of the jobs of this process
_sweep: dict[str, Any] = {}  # the sweep's configuration, and its parent run while there is one


class Sweep(Callback):
    """Hydra's callback around a multirun: one parent run, of which every job's run is a child."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Open the parent run; a sweep of ours opens it when all that can be wrong with it has shown itself."""
        _sweep["config"] = config
        if not config.hydra.sweeper._target_.startswith(SWEEPER) and config.get("experiment") is not None:
            open_sweep({})

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Close the parent run."""
        _close_sweep("failed" if any(_statuses) else "finished")


def open_sweep(tags: dict[str, str]) -> Parent:
    """Open the parent run of this multirun."""
    from omegaconf import OmegaConf

    from rag_lab import sweep, wiring

    if _sweep["config"].get("experiment") is None:
        raise ConfigError(_no_experiment())
    content: Any = OmegaConf.to_container(_sweep["config"], resolve=False)
    name, tracker = content["experiment"]["name"], wiring.build(content["tracking"], "tracking")
    command = sweep.storage.masked(_command(sys.argv[1:]))
    run = tracker.sweep_parent(name, f"{name} sweep", {"command": command, **tags})
    _sweep.update(tracker=tracker, run=run)
    return sweep.Parent(run, tracker.open_command())


def _close_sweep(status: Status) -> None:
    """Close the parent run, if it is open, with the files of the sweep's folder."""
    if "tracker" in _sweep:
        _sweep.pop("tracker").end_sweep(_sweep.pop("run"), status, Path(_sweep["config"].hydra.sweep.dir))


def job(cfg: DictConfig) -> None:
    """One job of Hydra's. In a multirun it raises, so that Hydra knows; else its status is kept for `main`."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode

    own = HydraConfig.get()
    folder = Path(own.runtime.output_dir)
    folder = folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
    try:
        _run(cfg, own, folder)
        _statuses.append(0)
    except BaseException as error:
        if not isinstance(error, trial.Pruned):  # which is no failure
            _statuses.append(report(error, debug=bool(cfg.get("debug"))))
        if own.mode == RunMode.MULTIRUN:
            if not (folder / "summary.json").exists():
                (folder / "failure.txt").write_text(f"{error}\n", encoding="utf-8")
            raise
        if status(error) == BAD_INPUT or (status(error) == INTERRUPTED and not (folder / "summary.json").exists()):
            _remove(folder)


def _run(cfg: DictConfig, own: Any, folder: Path) -> None:
    from omegaconf import OmegaConf

    from rag_lab import experiment, wiring
    from rag_lab.tracking.progress import console

    if cfg.get("experiment") is None:
        raise ConfigError(_no_experiment())
    content: Any = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if not 0 <= content["seed"] < MAX_SEED:
        raise ConfigError(f"seed: given {content['seed']}; allowed: 0 to {MAX_SEED - 1}")
    for key in content:
        if key not in config.KEYS:
            raise ConfigError(wiring.unknown(key, key, config.KEYS))
    overrides = list(own.overrides.task)
    swept = _swept(sys.argv[1:])
    name = ",".join(one.lstrip("+") for one in overrides if one.lstrip("+").partition("=")[0] in swept)
    parent, tags = _sweep.get("run"), {}
    if part := trial.current():
        name = ",".join(f"{key}={value}" for key, value in part.settings.items())
        parent, tags = part.parent_run_id, {"optuna.study": part.study, "optuna.trial": str(part.number)}
    choices = {key: str(value) for key, value in own.runtime.choices.items() if not key.startswith("hydra/")}
    choices["experiment"] = content["experiment"]["name"]
    experiment.execute(
        experiment.Job(
            content,
            choices,
            folder,
            _command(overrides),
            name or content["experiment"]["name"],
            parent,
            tags,
        ),
        console(),
    )


def report(error: BaseException, *, debug: bool) -> int:
    """Tell the user what went wrong; the exit status that says so."""
    if isinstance(error, KeyboardInterrupt):
        if trial.current() is None:  # else the sweep says it, once for all its trials
            print("rag_lab: interrupted; what was finished is kept, start again to go on", file=sys.stderr)
        return INTERRUPTED
    message = line(error)
    if message is None or debug:
        traceback.print_exception(error)
    if message is not None:
        print(f"rag_lab: {message}", file=sys.stderr)
    return status(error)


def main() -> None:
    """Run the command line of this process, and end it."""
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")  # or Hydra prints errors itself, on many lines
    import hydra

    interruption.listen(signal.SIGINT, signal.SIGTERM)  # a killed run is recorded, and leaves no temporary file
    if PLUGINS.is_dir() and str(PLUGINS) not in sys.path:
        sys.path.append(str(PLUGINS))
    config.register()
    application = hydra.main(version_base="1.3", config_path=str(config.folder()), config_name="config")(job)
    try:
        if any(one.startswith("@") for one in sys.argv[1:]):
            from rag_lab.sweep import best

            sys.argv[1:] = best.expand(sys.argv[1:])
        with contextlib.redirect_stderr(_Told(sys.stderr)):
            application()
    except SystemExit as leaving:
        raise leaving
    except BaseException as error:
        if not any(_statuses):
            debug = any(one.lstrip("+") == "debug=true" for one in sys.argv)
            _statuses.append(report(error, debug=debug))
    finally:
        _close_sweep("killed" if INTERRUPTED in _statuses else "failed")  # Hydra does not where it was interrupted
    sys.exit(max(_statuses, default=0))


class _Told(io.TextIOBase):
    """stderr without the line in which Hydra repeats that a job failed: the job has said why."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith("Error executing job with overrides") else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def _no_experiment() -> str:
    names = sorted(path.stem for path in (config.folder() / "experiment").glob("*.yaml"))
    return f"no experiment chosen; allowed: {', '.join(names)}; give +experiment={names[0]}"


def _command(overrides: list[str]) -> str:
    return shlex.join(["python", "-m", "rag_lab", *overrides])


def _swept(arguments: list[str]) -> set[str]:
    """The keys that a multirun sweeps over."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    given = [one for one in arguments if "=" in one and not one.startswith("--")]
    return {one.key_or_group for one in OverridesParser.create().parse_overrides(given) if one.is_sweep_override()}


def _remove(folder: Path) -> None:
    """Take away what a run that never started has left, with the folders that it alone filled."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(OSError):  # not empty: others live there
        folder.parent.rmdir()
        folder.parent.parent.rmdir()
