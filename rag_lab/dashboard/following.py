"""A run's `events.jsonl`, read on as it grows: what the run is at, and what it said last.

Only new whole lines are read, for `BUDGET_S` at most at a time, so a file of a million lines is caught up with in
pieces while the page goes on. What is kept of them is bounded, however many there are.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

BUDGET_S = 0.4
PIECE = 1 << 20  # bytes read at once
RECENT = 200  # events kept as they are
POINTS = 400  # of one bar over time
BARS = 200  # bars kept: a run names a handful


@dataclass(slots=True)
class Bar:
    """One kind of work. times: seconds since the run's first event; counts: units done by then, thinned alike."""

    what: str
    unit: str
    total: int
    done: int = 0
    per_s: float = 0.0
    apart_s: float = 0.0
    times: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @property
    def share(self) -> float:
        """How much is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0

    def note(self, at_s: float, done: int) -> None:
        """Take a point; the last one is always there, those before it at least `apart_s` apart."""
        if len(self.times) > 1 and at_s - self.times[-2] < self.apart_s:
            self.times[-1], self.counts[-1] = at_s, done
        else:
            self.times.append(at_s)
            self.counts.append(done)
        if len(self.times) > POINTS:
            self.apart_s = 2 * (self.times[-1] - self.times[0]) / POINTS
            del self.times[1:-1:2], self.counts[1:-1:2]


@dataclass(slots=True)
class Followed:
    """What the events so far amount to. behind: bytes not read yet; torn: whole lines that are no event."""

    path: Path
    offset: int = 0
    behind: int = 0
    torn: int = 0
    first: datetime | None = None
    last: datetime | None = None
    kinds: Counter[str] = field(default_factory=Counter)
    bars: dict[str, Bar] = field(default_factory=dict)
    recent: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=RECENT))

    @property
    def current(self) -> Bar | None:
        """The work that was spoken of last."""
        return next(reversed(self.bars.values()), None)

    @property
    def shrunk(self) -> bool:
        """Whether the file is shorter than what was read of it."""
        return self.path.exists() and self.path.stat().st_size < self.offset

    def read_on(self) -> None:
        """Take in what has been written since."""
        try:
            size = self.path.stat().st_size
            deadline = time.monotonic() + BUDGET_S
            with self.path.open("rb") as file:
                file.seek(self.offset)
                while self.offset < size and time.monotonic() < deadline and self._piece(file.read(PIECE)):
                    file.seek(self.offset)
        except OSError:  # it may come yet, or be gone
            size = self.offset
        self.behind = size - self.offset

    def _piece(self, piece: bytes) -> bool:
        """Take the whole lines of a piece; whether there were any."""
        whole, newline, _ = piece.rpartition(b"\n")
        if not newline:
            if len(piece) == PIECE:  # no line of ours is that long
                self.offset += PIECE
                self.torn += 1
                return True
            return False
        for line in whole.split(b"\n"):
            self._line(line)
        self.offset += len(whole) + 1
        return True

    def _line(self, line: bytes) -> None:
        try:
            event = json.loads(line)
            at = datetime.fromisoformat(event["time"])
            kind = str(event["kind"])
            if kind == "progress":
                self._progress(event, at)
            else:
                self.recent.append(event)
        except (ValueError, KeyError, TypeError):
            self.torn += 1
            return
        self.kinds[kind] += 1
        self.first, self.last = self.first or at, at

    def _progress(self, event: dict[str, Any], at: datetime) -> None:
        what, done = str(event["what"]), int(event["done"])
        bar = self.bars.pop(what, None)
        if bar is None or done < bar.done:  # new, or begun again
            bar = Bar(what, str(event["unit"]), int(event["total"]))
        bar.done, bar.total, bar.per_s = done, int(event["total"]), float(event["per_s"])
        bar.note((at - (self.first or at)).total_seconds(), done)
        self.bars[what] = bar  # the latest last
        if len(self.bars) > BARS:
            del self.bars[next(iter(self.bars))]


class Following:
    """The followed runs, by folder."""

    def __init__(self) -> None:
        self._followed: dict[Path, Followed] = {}

    def __call__(self, folder: Path) -> Followed:
        """What a run's events amount to, up to now. A file that became shorter was begun anew, and is read again."""
        followed = self._followed.get(folder)
        if followed is None or followed.shrunk:
            followed = self._followed[folder] = Followed(folder / "events.jsonl")
        followed.read_on()
        return followed
