"""Keeps a sweep's workers busy: claims trials, starts their jobs, hears them, finishes their trials."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape

from rag_lab import explain, wiring
from rag_lab.errors import ConfigError
from rag_lab.sweep import results
from rag_lab.sweep.ledger import Ledger
from rag_lab.sweep.settings import WHERE
from rag_lab.sweep.workers import Outcome, Report, Task, Worker, Workers
from rag_lab.tracking import trial as tracking
from rag_lab.tracking.progress import Bars

if TYPE_CHECKING:
    from omegaconf import DictConfig
    from optuna.trial import Trial

COLOURS = {"COMPLETE": "green", "PRUNED": "yellow", "FAIL": "red"}


class Drive:
    """One process's part in a study. failed: the exit statuses of the trials that failed here."""

    def __init__(
        self,
        book: Ledger,
        told: results.Told,
        compose: Callable[[int, Mapping[str, Any]], DictConfig],
        parent_run_id: str | None,
        console: Console,
    ) -> None:
        self._book, self._told, self._compose = book, told, compose
        self._parent_run_id, self._console = parent_run_id, console
        self.failed: list[int] = []

    def run(self, crew: Workers) -> None:
        """Until no trial is left. ConfigError where the first run to end has no such objective."""
        at_work: dict[Worker, Trial] = {}
        left = self._book.left()
        if not left:
            return
        with Bars(self._console)(f"study {self._told.study.study_name}", left, "trials") as bar:
            while True:
                while crew.free and (trial := self._book.claim()):
                    if (task := self._task(trial)) is not None:
                        at_work[crew.begin(task)] = trial
                if not at_work:
                    return
                for worker, said in crew.hear(self._book.beat_s):
                    if isinstance(said, Report):
                        worker.answer(self._book.report(at_work[worker], said.value, said.step))
                    else:
                        self._finish(at_work.pop(worker), said)
                        bar.advance()
                self._book.beat()

    def _task(self, trial: Trial) -> Task | None:
        """The job of a trial; None, the trial having failed, where its settings make no configuration."""
        try:
            config = self._compose(trial.number, trial.params)
        except Exception as error:
            if (why := explain.line(error)) is None:
                raise
            self._finish(trial, Outcome(None, why, explain.status(error), None))
            return None
        chosen = results.short(self._told.space, trial.params)
        name, objective = self._told.study.study_name, self._told.objectives[0].metric
        return Task(tracking.Trial(name, trial.number, chosen, self._parent_run_id, objective), config)

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        """Record how a trial ended, and say it."""
        values, error, status = None, outcome.error, outcome.status
        if outcome.document is not None:
            values, missing = self._values(outcome.document)
            if missing is not None:
                error, status = missing, explain.BAD_INPUT
        notes = {results.RUN: outcome.folder, results.ERROR: error}
        self._book.finish(trial, values, {name: one for name, one in notes.items() if one}, pruned=outcome.pruned)
        if status:
            self.failed.append(status)
        if error and outcome.folder is None:  # no job has said it
            print(f"rag_lab: trial {trial.number}: {error}", file=sys.stderr)
        self._say(trial.number, error)

    def _values(self, document: Mapping[str, Any]) -> tuple[Sequence[float] | None, str | None]:
        """The objectives' values, or what is missing. If it is missing in the first run, it is in all."""
        found = [one.value(document) for one in self._told.objectives]
        values = [value for value in found if value is not None]
        if len(values) == len(found):
            return values, None
        metric = self._told.objectives[found.index(None)].metric
        known = [*document.get("metrics", {}), *(f"train/{name}" for name in document.get("train", {}))]
        missing = wiring.unknown(f"{WHERE}.objectives: {metric}", metric, known)
        if not self._told.best:
            raise ConfigError(missing)
        return None, missing

    def _say(self, number: int, error: str | None) -> None:
        trial = self._book.frozen(number)
        state = trial.state.name
        took = f"{trial.duration.total_seconds():.1f} s" if trial.duration else ""
        what = results.values(self._told, trial) if state == "COMPLETE" else error or ""
        line = f"trial {number:>3}  {results.settings(self._told, trial)}  "
        self._console.print(
            f"{escape(line)}[{COLOURS.get(state, '')}]{state.lower()}[/]  {escape(what)}  {took}".rstrip(),
            soft_wrap=True,
            highlight=False,
        )
