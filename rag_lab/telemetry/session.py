"""One run's measurement, from its start to its end.

A thread writes the metrics file again and again while the run goes on, so that whatever ends the run leaves a whole
file of some seconds ago; and says what happened since the last time: a window, told as an event, kept for the tracker.
Measuring never ends a run: what cannot be written or served is said in the document's `absent`.

Units: seconds, milliseconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from rag_lab.telemetry import current, document, files, history
from rag_lab.telemetry.document import SHARES, Document, Facts, Status
from rag_lab.telemetry.exporter import Exporter
from rag_lab.telemetry.machine import Watch
from rag_lab.telemetry.recorder import Recording, Snapshot

NOTHING = Snapshot({}, {}, {})
Told = Callable[..., None]  # (kind, **fields): an event


class Settings(NamedTuple):
    """How a run measures itself; see conf/telemetry/local.yaml."""

    folder: Path
    keep_days: float
    every_s: float
    sample_every_s: float
    relative_error: float
    label_sets: int
    address: str
    port: int | None


class Window(NamedTuple):
    """What happened between two writings, `at_s` after the start. latencies: by variant, level and percentile, with
    the `count` of queries; counters: how much they grew; gauges: what they were last.
    """

    at_s: float
    seconds: float
    latencies: dict[str, dict[str, dict[str, float]]]
    counters: dict[str, float]
    gauges: dict[str, float]


class Measured(Protocol):
    """A measurement under way."""

    windows: list[Window]

    def finish(self, status: Status, metrics: Mapping[str, float]) -> Document | None:
        """End it; what was measured, if anything was."""
        ...

    def discard(self) -> None:
        """End it and leave nothing behind: the input was refused, so there was no run."""
        ...


class Session:
    """Measures from when it is made until `finish`, which may be called again with what became of the run after all.

    tell: where its events go.
    """

    def __init__(self, settings: Settings, facts: Facts, tell: Told) -> None:
        self.windows: list[Window] = []
        self._settings, self._facts, self._tell = settings, facts, tell
        self._started, self._before, self._told_at = time.monotonic(), NOTHING, time.monotonic()
        self._path = files.path_for(settings.folder, datetime.fromisoformat(facts.started_at))
        self._absent: dict[str, str] = {}
        self._recording = Recording(settings.relative_error, settings.label_sets)
        with suppress(OSError):  # what cannot be removed now is removed by a later run
            files.remove_old(settings.folder, datetime.now(UTC), settings.keep_days)
        self._write(self._document("running", {}))
        self._open = ExitStack()
        self._watch = self._open.enter_context(Watch(settings.sample_every_s, self._recording.gauge))
        self._serve()
        self._open.enter_context(current.use(self._recording))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
        self._thread.start()

    def finish(self, status: Status, metrics: Mapping[str, float]) -> Document | None:
        """End it, and add the run to the history."""
        self._stop()
        if self._watch.absent is not None:
            self._absent["gpu"] = self._watch.absent
        self._tell_window()
        content = self._document(status, metrics)
        self._write(content)
        try:
            history.write(self._settings.folder, self._path.stem, content)
        except OSError as error:
            self._tell("telemetry", why=f"the history was not written: {error}")
        return content

    def discard(self) -> None:
        """End it; its file goes, and the folders that held nothing else."""
        self._stop()
        self._path.unlink(missing_ok=True)
        for folder in (self._settings.folder, self._settings.folder.parent):
            with suppress(OSError):  # somebody's files are in it
                folder.rmdir()

    def _stop(self) -> None:
        self._over.set()
        self._thread.join()
        self._open.close()

    def _work(self) -> None:
        while not self._over.wait(self._settings.every_s):
            self._tell_window()
            self._write(self._document("running", {}))

    def _tell_window(self) -> None:
        """Tell what happened since the last time, if anything has."""
        now, snapshot = time.monotonic(), self._recording.snapshot()
        window = between(self._before, snapshot, now - self._started, now - self._told_at)
        self._before, self._told_at = snapshot, now
        if window.latencies or window.counters:
            self.windows.append(window)
            self._tell("window", **window._asdict())

    def _write(self, content: Document) -> None:
        try:
            files.write(self._path, content)
        except OSError as error:  # a full disk, say: the next time may be better
            self._absent["file"] = str(error)

    def _document(self, status: Status, metrics: Mapping[str, float]) -> Document:
        return document.compose(
            self._facts,
            self._recording.snapshot(),
            status=status,
            written_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            every_s=self._settings.every_s,
            relative_error=self._settings.relative_error,
            metrics=metrics,
            absent=self._absent,
        )

    def _serve(self) -> None:
        """Start the exporter, if one is wanted and its port is free: another run may have it."""
        if self._settings.port is None:
            return
        run = {"run_id": self._facts.run_id, "experiment": self._facts.experiment}
        try:
            exporter = Exporter(self._settings.address, self._settings.port, self._recording.snapshot, run)
        except OSError as error:
            self._absent["exporter"] = f"{self._settings.address}:{self._settings.port}: {error.strerror}"
            return
        self._open.callback(exporter.close)
        self._tell("exporter", address=self._settings.address, port=exporter.port)


def between(before: Snapshot, after: Snapshot, at_s: float, seconds: float) -> Window:
    """What happened between two snapshots of the same recording."""
    latencies: dict[str, dict[str, dict[str, float]]] = {}
    for (variant, level), one in after.latencies.items():
        earlier = before.latencies.get((variant, level))
        fresh = one if earlier is None else one - earlier
        if fresh.count:
            row: dict[str, float] = {"count": fresh.count}
            row |= {name: fresh.quantile(share) or 0.0 for name, share in SHARES.items()}
            latencies.setdefault(variant, {})[level] = row
    counters = {key: value - before.counters.get(key, 0) for key, value in after.counters.items()}
    return Window(
        at_s,
        seconds,
        latencies,
        {_flat(key): value for key, value in counters.items() if value},
        {_flat(key): one.last for key, one in after.gauges.items()},
    )


def _flat(key: Any) -> str:
    """A metric's name with the values of its labels."""
    name, labels = key
    return "/".join([name, *(value for _, value in labels)])
