"""reports/metrics/<timestamp>.json: one file a run, whole or absent, removed when it is old.

Only files that this module wrote are ever removed: the name must be a time stamp of ours and the content a document
of ours (`document`); anything else that lies there is somebody else's.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rag_lab.assets import atomic
from rag_lab.errors import DataError
from rag_lab.telemetry import document
from rag_lab.telemetry.document import Document

STAMP = "%Y-%m-%dT%H-%M-%S-%fZ"  # UTC; sorts as time does
NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}-\d{6}Z\.json")
# What `atomic.write` leaves when its process is killed while it writes: hidden, and with a random beginning.
TORN = re.compile(rf"\.[0-9a-f]{{12}}\.({NAME.pattern})")


def path_for(folder: Path, started: datetime) -> Path:
    """The file of a run that started then."""
    return folder / f"{started.astimezone(UTC).strftime(STAMP)}.json"


def write(path: Path, content: Document) -> None:
    """Write it, whole or not at all; what is written can be read back."""
    with atomic.write(path) as temporary:
        temporary.write_text(content.model_dump_json(), encoding="utf-8")


def stored(folder: Path) -> Iterator[tuple[Path, Document]]:
    """Every file of ours with its document, the oldest first."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if NAME.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            with contextlib.suppress(DataError, FileNotFoundError):
                yield path, document.read(path)


def remove_old(folder: Path, now: datetime, keep_days: float) -> list[Path]:
    """Remove our files of runs that started more than so many days ago; those removed."""
    before = now.astimezone(UTC) - timedelta(days=keep_days)
    old = [path for path, _ in stored(folder) if _started(path.name) < before]
    old += [
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if (torn := TORN.fullmatch(path.name)) and path.is_file() and _started(torn[1]) < before
    ]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def _started(name: str) -> datetime:
    return datetime.strptime(name.removesuffix(".json"), STAMP).replace(tzinfo=UTC)
