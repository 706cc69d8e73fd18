"""The runs below a folder, newest first, as a list that costs little to look at again.

A run is a folder that holds `events.jsonl` or `summary.json`; its key is its path below the folder of runs. A
summary is parsed once for every time that it changes; of events only the first and the last lines are read here.

A run without a summary goes on, or was killed: nothing but time tells, where no metrics file names its process.
`silent` says that nothing was heard for `SILENT_S`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rag_lab.dashboard.measured import Measured, alive

Status = Literal["running", "silent", "finished", "failed", "killed", "unreadable"]
SUMMARY, EVENTS = "summary.json", "events.jsonl"
PARTS = (
    SUMMARY,
    EVENTS,
    "curves.json",
    "per_query.parquet",
    "per_query.parquet.gz",
    "decisions.parquet",
    "resolved.yaml",
)
SILENT_S = 600.0  # the longest step of a run that says nothing takes a few minutes
ELSEWHERE = {"artifacts"}  # MLflow's copies of runs
DEEP = 4  # folders below runs/: experiment, sweep, job, and one to spare
TAIL = 1 << 16  # bytes of events that hold the last line, whatever it says

Stamp = tuple[tuple[int, int], ...]  # size and time of change, in ns, of a run's files


class Row(NamedTuple):
    """A run in the list. share: of the current work, from 0 to 1, while it goes on; tally: targets by verdict."""

    key: str
    folder: Path
    experiment: str
    started_at: str
    status: Status
    what: str
    share: float | None
    duration_s: float | None
    data: tuple[str, ...]
    tally: Mapping[str, int]


def stamp(folder: Path, names: tuple[str, ...] = PARTS) -> Stamp:
    """Changes whenever one of the files does; zeros for a file that is absent."""
    found = []
    for name in names:
        try:
            at = (folder / name).stat()
            found.append((at.st_size, at.st_mtime_ns))
        except OSError:
            found.append((0, 0))
    return tuple(found)


class Index:
    """The runs below `runs`; `measured` knows the processes of those that measure themselves."""

    def __init__(self, runs: Path, measured: Measured) -> None:
        self.runs, self.measured = runs, measured
        self._known: dict[Path, tuple[Stamp, Row]] = {}

    def rows(self) -> list[Row]:
        """All runs, newest first."""
        self.measured.refresh()
        rows = [self._row(folder) for folder in _folders(self.runs, DEEP)]
        self._known = {row.folder: self._known[row.folder] for row in rows}
        return sorted(rows, key=lambda row: (row.started_at, row.key), reverse=True)

    def _row(self, folder: Path) -> Row:
        now = stamp(folder, (SUMMARY, EVENTS))
        known = self._known.get(folder)
        if known is None or known[0] != now:
            known = (now, _read(folder, folder.relative_to(self.runs).as_posix()))
            self._known[folder] = known
        row = known[1]
        if row.status != "running":
            return row
        lives = alive(self.measured.of(folder))
        quiet = time.time() - now[1][1] / 1e9 > SILENT_S
        return row._replace(status="killed" if lives is False else "silent" if quiet and not lives else "running")


def _folders(folder: Path, deep: int) -> Iterator[Path]:
    """Folders of runs; hidden ones, links and what lies inside a run are passed over."""
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    if {SUMMARY, EVENTS} & {entry.name for entry in entries}:
        yield folder
    elif deep:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and entry.name not in ELSEWHERE:
                yield from _folders(folder / entry.name, deep - 1)


def _read(folder: Path, key: str) -> Row:
    experiment, _, stamped = key.partition("/")
    day, _, clock = stamped.partition("/")[0].partition("_")  # as Hydra names it: 2026-01-31_23-59-59-123456
    started = f"{day}T{clock[:8].replace('-', ':')}" if clock else stamped
    row = Row(key, folder, experiment, started, "running", "", None, None, (), {})
    if not (folder / SUMMARY).exists():
        return _of_events(row)
    try:
        summary = json.loads((folder / SUMMARY).read_bytes())
        return row._replace(
            experiment=str(summary["experiment"]),
            started_at=str(summary["started_at"]),
            status="failed" if summary["status"] == "failed" else "finished",
            what=str(summary.get("failure", "")),
            duration_s=float(summary["duration_s"]),
            data=tuple(summary["data"]["domains"]),
            tally=Counter(target["verdict"] for target in summary["targets"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        return row._replace(status="unreadable", what=f"{SUMMARY} cannot be read: {error}")


def _of_events(row: Row) -> Row:
    """The same of a run that has not ended, or was not let."""
    first, last = _ends(row.folder / EVENTS)
    row = row._replace(
        experiment=str(first.get("experiment", row.experiment)), started_at=str(first.get("time", row.started_at))
    )
    if last.get("kind") == "progress" and last.get("total"):
        return row._replace(what=str(last.get("what", "")), share=min(1.0, last["done"] / last["total"]))
    return row._replace(what=str(last.get("kind", "")))


def _ends(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the last event of a file."""
    try:
        with path.open("rb") as file:
            first = file.readline(TAIL)
            file.seek(max(0, path.stat().st_size - TAIL))
            tail = file.read(TAIL).rpartition(b"\n")[0].rpartition(b"\n")[2]
    except OSError:
        return {}, {}
    return _event(first), _event(tail)


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}
