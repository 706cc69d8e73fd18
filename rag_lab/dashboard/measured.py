"""What runs measured of themselves: `reports/metrics/<timestamp>.json`, where one was written.

Files are read as they are today and shown as far as they are understood; what is missing is not measured. A file
names its run's folder, and the process, which tells a run that goes on from one that was killed.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

FORMAT = "rag_lab.metrics/"
POINTS = 600  # of a run while it is watched: twenty minutes at one every two seconds


class Point(NamedTuple):
    """A look at a run. written_at: ISO 8601; queries: answered so far; p50_ms, p95_ms: by (variant, level)."""

    written_at: str
    queries: float
    latencies: Mapping[tuple[str, str], tuple[float, float]]


class Measured:
    """The metrics files of a folder, by run folder. Each is parsed once for every time that it changes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, tuple[int, Mapping[str, Any]]] = {}
        self._latest: dict[Path, Mapping[str, Any]] = {}
        self._watched: dict[Path, deque[Point]] = {}

    def refresh(self) -> None:
        """Read what has changed."""
        self._latest = {}
        for document in sorted(self._documents(), key=lambda one: str(one.get("written_at", ""))):
            # The file says where the run's folder is as seen from where reports/ lies.
            self._latest[(self.folder.parent.parent / str(document["run"].get("folder", ""))).resolve()] = document

    def of(self, run: Path) -> Mapping[str, Any]:
        """The latest document of a run, when last refreshed; empty where it wrote none."""
        document = self._latest.get(run.resolve(), {})
        if document:
            self._look(run.resolve(), document)
        return document

    def points(self, run: Path) -> list[Point]:
        """What was seen of a run since it has been watched."""
        return list(self._watched.get(run.resolve(), ()))

    def _look(self, run: Path, document: Mapping[str, Any]) -> None:
        points = self._watched.setdefault(run, deque(maxlen=POINTS))
        at = str(document.get("written_at", ""))
        if not points or points[-1].written_at != at:
            queries = sum(one["value"] for one in document.get("counters", ()) if one["name"] == "queries")
            latencies = {
                (one["variant"], one["level"]): (one["p50_ms"], one["p95_ms"]) for one in document.get("latencies", ())
            }
            points.append(Point(at, queries, latencies))

    def _documents(self) -> list[Mapping[str, Any]]:
        found: dict[Path, tuple[int, Mapping[str, Any]]] = {}
        for path in self.folder.glob("*.json"):
            try:
                at = path.stat().st_mtime_ns
                known = self._known.get(path)
                found[path] = known if known is not None and known[0] == at else (at, _read(path))
            except OSError:
                continue
        self._known = found
        return [document for _, document in found.values() if document]


def alive(document: Mapping[str, Any]) -> bool | None:
    """Whether the process that wrote it still runs; None where it does not name one."""
    pid = document.get("run", {}).get("pid")
    if not isinstance(pid, int):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    ours = isinstance(document, dict) and str(document.get("format", "")).startswith(FORMAT)
    return document if ours and isinstance(document.get("run"), dict) else {}
