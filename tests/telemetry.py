"""A measurement for tests: facts of a run, and sessions that write into a folder of the test's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from rag_lab.telemetry.document import Document, Facts
from rag_lab.telemetry.files import path_for
from rag_lab.telemetry.recorder import Recording
from rag_lab.telemetry.session import Session, Settings, datetime


def facts(**changes: Any) -> Facts:
    given: dict[str, Any] = {
        "run_id": "baseline-1",
        "experiment": "baseline",
        "folder": "runs/baseline/1",
        "started_at": "2026-05-01T12:00:00.000001+00:00",
        "series": "5e71e5",
        "config_hash": "c0ffee12",
        "data_fingerprint": "da7a",
        "device": "cpu",
        "seed": 0,
        "git_sha": None,
        "pid": os.getpid(),
    }
    return Facts(**(given | changes))


def settings(folder: Path, **changes: Any) -> Settings:
    given: dict[str, Any] = {
        "folder": folder,
        "keep_days": 30,
        "every_s": 0.05,
        "sample_every_s": 0.05,
        "relative_error": 0.005,
        "label_sets": 50,
        "address": "127.0.0.1",
        "port": None,
    }
    return Settings(**(given | changes))


class Told:
    """Takes events."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, kind: str, **fields: Any) -> None:
        self.events.append((kind, fields))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [fields for one, fields in self.events if one == kind]


def session(folder: Path, told: Told | None = None, *, run: dict[str, Any] | None = None, **changes: Any) -> Session:
    return Session(settings(folder, **changes), facts(**(run or {})), told or Told())


def file_of(folder: Path, run: Facts) -> Path:
    return path_for(folder, datetime.fromisoformat(run.started_at))


def document(latencies_ms: list[float], **changes: Any) -> Document:
    """What a run with these answers would have written."""
    from rag_lab.telemetry import document as module

    recording = Recording(0.005, 50)
    for taken in latencies_ms:
        recording.latencies("live", {"e2e": taken, "l1": taken / 2})
        recording.count("queries", variant="live")
    given: dict[str, Any] = {
        "status": "finished",
        "written_at": "2026-05-01T12:01:00.000+00:00",
        "every_s": 2.0,
        "relative_error": 0.005,
        "metrics": {"retrieval/recall_at_10": 0.5},
        "absent": {},
    }
    run = given | changes
    return module.compose(run.pop("facts", facts()), recording.snapshot(), **run)
