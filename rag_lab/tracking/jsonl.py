"""A run's events as JSON lines, written as they happen; and the tracker that records nothing more.

One object a line, `time` (UTC, ISO 8601) and `kind` first. A number that is not finite becomes null, since
JSON has none. Every line goes out in one write, so a reader can follow the file while the run goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rag_lab.errors import DataError
from rag_lab.tracking.tracker import RunInfo, Status


class Events:
    """The events of one run. It holds no open file, so there is nothing to close."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _drop_torn_line(path)

    def emit(self, kind: str, **fields: object) -> None:
        """Append one event. Values are JSON's, paths, or NumPy's; TypeError for any other."""
        event = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "kind": kind} | fields
        line = json.dumps(_plain(event), allow_nan=False)
        with self.path.open("ab") as file:
            file.write(line.encode() + b"\n")


def read(path: Path) -> list[dict[str, object]]:
    """The events written so far. A last line without its end is being written, or torn: it is left out.

    DataError, with its line, where a whole line is not a JSON object.
    """
    events = []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise DataError("not an event: each line is one JSON object; remove the line", path, number)
        events.append(event)
    return events


def _drop_torn_line(path: Path) -> None:
    """Cut what an interrupted writer left after the last whole line, so that new lines start clean."""
    whole, newline, torn = path.read_bytes().rpartition(b"\n")
    if torn:
        with path.open("r+b") as file:
            file.truncate(len(whole) + len(newline))


def _plain(value: object) -> object:
    """`value` in JSON's own types."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy's and JAX's arrays and scalars
        return _plain(value.tolist())
    return value


class NoTracker:
    """Records nothing: the run's folder is enough."""

    def start(self, run: RunInfo) -> str | None:
        """No run, so no id."""
        return None

    def variants(
        self,
        metrics: Mapping[str, Mapping[str, float]],
        tags: Mapping[str, Mapping[str, str]],
        baseline: str | None,
    ) -> None:
        """Nothing."""

    def curve(self, variant: str, metric: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Nothing."""

    def rows(self, variant: str | None, rows: Iterable[tuple[str, int, float]]) -> None:
        """Nothing."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Nothing."""

    def finish(self, metrics: Mapping[str, float], artifacts: Path, status: Status) -> None:
        """Nothing."""

    def open_command(self) -> str | None:
        """Nothing to open."""
        return None

    def sweep_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str | None:
        """No run, so no id."""
        return None

    def end_sweep(self, run_id: str | None, status: Status, artifacts: Path | None = None) -> None:
        """Nothing."""


def build() -> NoTracker:
    """The tracker; it has nothing to set."""
    return NoTracker()
