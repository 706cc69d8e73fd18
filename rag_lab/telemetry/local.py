"""telemetry=local: a run measures itself into reports/metrics/, and serves Prometheus on this machine meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.telemetry.document import Facts
from rag_lab.telemetry.session import Measured, Session, Settings, Told

Seconds = Annotated[float, Field(ge=0.05, le=3600)]


class Serve(NamedTuple):
    """Where Prometheus finds the run. port: null serves nothing."""

    address: str
    port: Annotated[int, Field(ge=0, le=65535)] | None


class Local(NamedTuple):
    """Measures into files."""

    settings: Settings

    def check(self) -> None:
        """ConfigError where nothing can be written; writes nothing itself."""
        folder = self.settings.folder
        known = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
        if not known.is_dir() or not os.access(known, os.W_OK):
            raise ConfigError(
                f"telemetry.folder: given {folder}, but {known} is no folder that can be written; give another, or "
                "telemetry=none"
            )

    def start(self, facts: Facts, tell: Told) -> Measured:
        """Begin to measure a run; `tell` takes its events."""
        return Session(self.settings, facts, tell)


def build(
    *,
    folder: Annotated[str, Field(min_length=1)],
    keep_days: Annotated[float, Field(gt=0, le=36500)],
    every_s: Seconds,
    sample_every_s: Seconds,
    relative_error: Annotated[float, Field(ge=0.001, le=0.1)],
    label_sets: Annotated[int, Field(ge=1, le=1000)],
    prometheus: Serve,
) -> Local:
    """Measurement into files.

    folder: of the metrics files, with the history below it; keep_days: metrics files of older runs are removed, the
    history never; every_s: how often file and events are written; sample_every_s: of the machine's figures;
    relative_error: of every latency; label_sets: at most so many of one metric.
    """
    return Local(Settings(Path(folder), keep_days, every_s, sample_every_s, relative_error, label_sets, *prometheus))
