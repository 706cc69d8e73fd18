"""Processes that run a sweep's jobs, each one job at a time, for as long as the sweep goes on.

A job is a process's whole world: Hydra keeps its configuration in globals, JAX its device and compiled programs.
So workers are started afresh (not forked), keep what they compiled from job to job, and talk to the sweep through
a pipe: a task comes in; reports go out, each answered by whether to go on; at last the outcome. That a worker died
is an outcome too. What a job prints goes to `output.txt` in its folder; its errors go to stderr.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from rag_lab import explain, interruption
from rag_lab.tracking import trial as trials

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

GPU_SHARE = 0.75  # of its memory that JAX takes by itself; workers divide it
PATIENCE_S = 20  # to record an interrupted job
OUTPUT = "output.txt"


class Task(NamedTuple):
    """A job: the trial that it is, and its composed configuration."""

    trial: trials.Trial
    config: DictConfig


class Report(NamedTuple):
    """An intermediate value; the answer is whether to go on."""

    value: float
    step: int


class Outcome(NamedTuple):
    """How a job ended. document: its summary.json, where it finished. error: in one line, where it did not.
    status: the exit status that it would have given. folder: where its files are; None where it did not come so
    far, or could not say so."""

    document: dict[str, Any] | None
    error: str | None
    status: int
    folder: str | None
    pruned: bool = False


class Worker:
    """One process, started at its first task."""

    def __init__(self, *made_of: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, *made_of))
        self._process.start()
        theirs.close()

    def receive(self) -> Report | Outcome:
        """What it says; that it died is an outcome."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode or 0
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
            return Outcome(None, f"its process ended {how}, without a word", explain.FAULT, None)

    def answer(self, go_on: bool) -> None:
        """Answer its report."""
        with suppress(OSError):  # it died: `receive` will say so
            self.pipe.send(go_on)

    @property
    def lives(self) -> bool:
        """Whether it can take a task."""
        return self._process.is_alive()

    def interrupt(self) -> None:
        """Ask it to end as by Ctrl-C."""
        if self.lives:
            self._process.terminate()

    def end(self) -> None:
        """Wait until it has ended; kill it where that takes too long."""
        self.pipe.close()
        self._process.join(PATIENCE_S)
        if self.lives:
            self._process.kill()
        self._process.join()
        self._process.close()


class Workers:
    """At most `count` of them; those that died are replaced. Ends them all when left."""

    def __init__(self, count: int, context: HydraContext, function: TaskFunction) -> None:
        self._count, self._made_of = count, (context, function, count)
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []

    @property
    def free(self) -> bool:
        """Whether one more task can be taken."""
        return len(self._busy) < self._count

    def begin(self, task: Task) -> Worker:
        """Give a task to a worker."""
        worker = self._idle.pop() if self._idle else Worker(*self._made_of)
        self._busy.append(worker)
        with suppress(OSError):  # it died: `receive` will say so
            worker.pipe.send(task)
        return worker

    def hear(self, timeout_s: float) -> Sequence[tuple[Worker, Report | Outcome]]:
        """What the busy ones say, nothing where they are silent for so long."""
        by_pipe = {worker.pipe: worker for worker in self._busy}
        heard = [(by_pipe[pipe], by_pipe[pipe].receive()) for pipe in connection.wait(list(by_pipe), timeout_s)]  # type: ignore[index]
        for worker, said in heard:
            if isinstance(said, Outcome):
                self._busy.remove(worker)
                if worker.lives:
                    self._idle.append(worker)
                else:
                    worker.end()
        return heard

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        everyone = [*self._busy, *self._idle]
        for worker in self._busy:
            worker.interrupt()
        for worker in everyone:
            worker.end()


def _serve(pipe: Any, context: HydraContext, function: TaskFunction, count: int) -> None:
    """A worker's life."""
    from hydra.core.utils import setup_globals

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the sweep decides
    interruption.listen(signal.SIGTERM)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{GPU_SHARE / count:.3f}")
    setup_globals()
    with suppress(EOFError, OSError, KeyboardInterrupt):  # the sweep is over
        while True:
            pipe.send(_perform(pipe.recv(), context, function, pipe))


def _end_with_parent() -> None:
    """However the sweep ends, also killed, its workers end with it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _perform(task: Task, context: HydraContext, function: TaskFunction, pipe: Any) -> Outcome:
    """Run a job as Hydra's own launcher does."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.utils import run_job

    place: list[Path] = []
    failed: list[Exception] = []

    def job(config: DictConfig) -> Any:
        place.append(Path(HydraConfig.get().runtime.output_dir))
        with (place[0] / OUTPUT).open("w", encoding="utf-8") as file, redirect_stdout(file):
            try:
                return function(config)
            except Exception as error:
                failed.append(error)
                raise

    def go_on(value: float, step: int) -> bool:
        pipe.send(Report(value, step))
        return bool(pipe.recv())

    with trials.run_as(task.trial, go_on):
        try:
            run_job(
                hydra_context=context,
                task_function=job,
                config=task.config,
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
        except Exception as error:  # Hydra's own, before the job: its folder cannot be made, for instance
            failed.append(error)
    return _outcome(failed[0] if failed else None, place[0] if place else None)


def _outcome(error: Exception | None, folder: Path | None) -> Outcome:
    """What a job found is what its summary.json says; a run with missed targets has found something too."""
    where = None if folder is None else os.path.relpath(folder)
    pruned = isinstance(error, trials.Pruned)
    if folder is not None and not pruned and (folder / "summary.json").is_file():
        document = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        if document["status"] == "finished":
            return Outcome(document, None, explain.status(error), where)
    if error is None:
        return Outcome(None, "it ended without a summary.json", explain.FAULT, where)
    if pruned:
        return Outcome(None, str(error), 0, where, pruned)
    why = explain.line(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Outcome(None, why, explain.status(error), where)
