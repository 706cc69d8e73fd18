"""The trial that a job is, where a sweep chose its settings: its name, its place, and a line back to the sweep.

An experiment may report intermediate values at any time. Without a sweep nothing hears them; with one, the report
of a trial that is not worth going on raises `Pruned`, which the job lets pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Trial(NamedTuple):
    """study: its name. number: of the trial in it. settings: what was chosen, as text. parent_run_id: the sweep's
    run, of which the job's run is a child. objective: the metric that reports are of."""

    study: str
    number: int
    settings: Mapping[str, str]
    parent_run_id: str | None
    objective: str


class Pruned(Exception):
    """The sweep has seen enough of this trial."""


_running: ContextVar[tuple[Trial, Callable[[float, int], bool]] | None] = ContextVar("trial", default=None)


def current() -> Trial | None:
    """The trial that this job is, or None."""
    running = _running.get()
    return None if running is None else running[0]


def report(metrics: Mapping[str, float], step: int) -> None:
    """Tell the sweep how the objective stands at this step (0, 1 …), if it is one of these metrics, which are named
    as an objective names them (`train/…` for those on train). Raises Pruned where the trial should not go on.
    """
    running = _running.get()
    if running is None or running[0].objective not in metrics:
        return
    value = float(metrics[running[0].objective])
    if not running[1](value, step):
        raise Pruned(f"at step {step}, with {value:.6g}")


@contextmanager
def run_as(trial: Trial, go_on: Callable[[float, int], bool]) -> Iterator[None]:
    """Within: this job is that trial. go_on: hears (value, step), says whether it is worth going on."""
    token = _running.set((trial, go_on))
    try:
        yield
    finally:
        _running.reset(token)
