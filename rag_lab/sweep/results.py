"""What a sweep leaves in its folder: best.yaml or pareto.yaml, trials.csv, study.html.

All of them are of the whole study, whoever ran its trials. `best.yaml` holds one trial, the best by the objective;
`pareto.yaml` those that no other beats in every objective. Both are taken by a next run with `@FILE`
(`rag_lab.sweep.best`).
"""

from __future__ import annotations

import csv
import io
import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from rich.console import Console
from rich.text import Text

from rag_lab.assets import atomic
from rag_lab.sweep import figures
from rag_lab.sweep.settings import Objective
from rag_lab.sweep.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial

RUN, ERROR = "run", "error"  # kept with a trial: its run's folder, and why it failed


class Told(NamedTuple):
    """What the files and the terminal say of a study. storage: its URL without a password."""

    study: Study
    storage: str
    objectives: Sequence[Objective]
    space: Space
    folder: Path

    @property
    def best(self) -> list[FrozenTrial]:
        """The best trial, or with several objectives all that none beats; empty where none is complete."""
        complete = any(one.state.name == "COMPLETE" for one in self.study.get_trials(deepcopy=False))
        if not complete:
            return []
        return [self.study.best_trial] if len(self.objectives) == 1 else self.study.best_trials

    @property
    def file(self) -> Path:
        """Where the best is written."""
        return self.folder / ("best.yaml" if len(self.objectives) == 1 else "pareto.yaml")

    @property
    def argument(self) -> str:
        """How the command line takes the best."""
        return f"@{self.file}" if len(self.objectives) == 1 else f"@{self.file}:<trial>"

    @property
    def counts(self) -> str:
        """How many trials ended how, in words."""
        found = Counter(one.state.name.lower() for one in self.study.get_trials(deepcopy=False))
        words = {"complete": "complete", "pruned": "pruned", "fail": "failed", "running": "running elsewhere"}
        return ", ".join(f"{found[state]} {word}" for state, word in words.items() if found[state])

    @property
    def caution(self) -> str | None:
        """What must be said where an objective looks at test queries."""
        looked = ", ".join(one.metric for one in self.objectives if one.on_test)
        return (
            f"{looked}: of the test queries, so what wins here was chosen on them; judge it on others"
            if looked
            else None
        )

    def command(self, trial: FrozenTrial) -> str:
        """The command of one run with a trial's settings."""
        return shlex.join(["python", "-m", "rag_lab", *self.space.fixed, *self.space.chosen(trial.params)])


def write(told: Told) -> None:
    """Write all files, each whole or not at all."""
    if told.best:
        _write(told.file, _best(told))
    _write(told.folder / "trials.csv", _table(told))
    _write(told.folder / "study.html", figures.page(told.study, told.objectives, told.storage))


def show(told: Told, console: Console) -> None:
    """Print the best, and how a next run takes it."""

    def tell(text: str, style: str = "") -> None:
        console.print(Text(text, style), soft_wrap=True)

    tell("")
    tell(f"study {told.study.study_name}: {told.counts or 'no trial yet'}", "bold")
    for trial in told.best:
        tell(f"{'best: ' if len(told.objectives) == 1 else ''}trial {trial.number}, {values(told, trial)}")
        tell(f"  {settings(told, trial)}")
    if told.caution:
        tell(f"caution: {told.caution}", "yellow")
    if told.best:
        tell(f"take it into a run: python -m rag_lab +experiment=NAME {told.argument}")


def values(told: Told, trial: FrozenTrial) -> str:
    """A complete trial's values by objective."""
    pairs = zip(told.objectives, trial.values, strict=True)
    return ", ".join(f"{one.metric} {value:.6g}" for one, value in pairs)


def settings(told: Told, trial: FrozenTrial) -> str:
    """A trial's settings in a line, numbers shortened."""
    return " ".join(f"{name}={value}" for name, value in short(told.space, trial.params).items())


def short(space: Space, params: dict[str, Any]) -> dict[str, str]:
    """Parameters as they are read: six digits are enough."""
    return {name: f"{one:.6g}" if isinstance(one := params[name], float) else str(one) for name in space.dimensions}


def _best(told: Told) -> str:
    one = len(told.objectives) == 1
    head = (
        f"# {'The best trial' if one else 'The trials that none beats in every objective'} of a study. Take "
        f"{'it' if one else 'one'} into a next run:\n"
        f"#   python -m rag_lab +experiment=NAME {told.argument}\n"
    )
    content = {
        "study": told.study.study_name,
        "storage": told.storage,
        "objectives": [" ".join(one) for one in told.objectives],
        **({"caution": told.caution} if told.caution else {}),
        "counts": told.counts,
        "trials": [
            {
                "trial": trial.number,
                "values": dict(zip((one.metric for one in told.objectives), trial.values, strict=True)),
                "run": trial.user_attrs.get(RUN),
                "overrides": told.space.lasting(trial.params),
                "command": told.command(trial),
            }
            for trial in told.best
        ],
    }
    return head + yaml.safe_dump(content, sort_keys=False, width=1000)


def _table(told: Told) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    metrics = [one.metric for one in told.objectives]
    rows.writerow(["trial", "state", *told.space.dimensions, *metrics, "duration_s", RUN, ERROR])
    for trial in told.study.get_trials(deepcopy=False):
        values = trial.values or []
        values = values if len(values) == len(metrics) and trial.state.name == "COMPLETE" else [None] * len(metrics)
        took = trial.duration.total_seconds() if trial.duration else None
        params = [trial.params.get(name) for name in told.space.dimensions]
        notes = [trial.user_attrs.get(name) for name in (RUN, ERROR)]
        rows.writerow([trial.number, trial.state.name.lower(), *params, *values, took, *notes])
    return text.getvalue()


def _write(path: Path, text: str) -> None:
    with atomic.write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
