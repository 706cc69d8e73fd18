"""Progress bars with rate and time left: on the terminal by rich, and in `events.jsonl` for whoever watches."""

from __future__ import annotations

import sys
import time
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from rag_lab.telemetry import current, names
from rag_lab.tracking.jsonl import Events

EVENT_INTERVAL_S = 2.0
LOG_COLUMNS = 100  # of a log file, which has no width of its own


def console() -> Console:
    """What this process prints to."""
    return Console(width=None if sys.stdout.isatty() else LOG_COLUMNS)


class _Rate(TextColumn):
    """Units a second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        """The rate so far, or nothing before there is one."""
        rate = task.finished_speed or task.speed
        return Text("" if rate is None else f"{rate:,.0f} {task.fields['unit']}/s", style="dim")


class Bar:
    """One bar; see `rag_lab.types.Progress`. In a log file a line is for the outermost: the others are its parts."""

    _open = 0  # bars of this process

    def __init__(self, console: Console, events: Events | None, what: str, total: int, unit: str) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bars.add_task(what, total=total, unit=unit)
        self._console, self._events = console, events
        self._what, self._total, self._unit, self._done = what, total, unit, 0
        self._started = self._told = time.monotonic()

    def __enter__(self) -> Self:
        self._bars.start()
        if not self._console.is_terminal and not Bar._open:
            self._console.print(f"{self._what}: {self._total:,} {self._unit} …")
        Bar._open += 1
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()
        Bar._open -= 1
        self._tell()
        took_s, what = time.monotonic() - self._started, self._what.partition(" ")[0]
        current.recorder().count(names.WORK, self._done, what=what, unit=self._unit)
        current.recorder().count(names.WORK_S, took_s, what=what, unit=self._unit)

    def advance(self, amount: int = 1) -> None:
        """Count units of work as done."""
        self._done += amount
        self._bars.advance(self._task, amount)
        if time.monotonic() - self._told >= EVENT_INTERVAL_S:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        if self._events is not None:
            rate = self._done / max(self._told - self._started, 1e-9)
            self._events.emit(
                "progress",
                what=self._what,
                done=self._done,
                total=self._total,
                unit=self._unit,
                per_s=round(rate, 1),
            )


class Bars:
    """Opens bars on one console; a `rag_lab.types.ProgressFactory`."""

    def __init__(self, console: Console, events: Events | None = None) -> None:
        self._console, self._events = console, events

    def __call__(self, what: str, total: int, unit: str) -> Bar:
        """A bar for `total` units of `what`."""
        return Bar(self._console, self._events, what, total, unit)
