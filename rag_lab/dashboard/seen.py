"""What a view of a run may draw on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from rag_lab.dashboard.address import Shown
from rag_lab.dashboard.following import Followed
from rag_lab.dashboard.index import Row
from rag_lab.dashboard.measured import Point
from rag_lab.dashboard.parts import Look
from rag_lab.report.run import Run


class Seen(NamedTuple):
    """run: None while there is no summary; document, points: its metrics file, now and since it is watched; store:
    where what is summed up of large files is kept.
    """

    row: Row
    run: Run | None
    followed: Followed
    document: Mapping[str, Any]
    points: list[Point]
    look: Look
    shown: Shown
    store: Path
