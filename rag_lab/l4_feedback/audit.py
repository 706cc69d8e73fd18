"""What a filter makes of a log of real feedback: how much of it is kept, why the rest is not, and who is reliable.

A log has no truth beside it, so this is a report and no score: it shows what an experiment would learn from.

Shapes: N items, U users.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from rag_lab.errors import DataError
from rag_lab.l4_feedback import log
from rag_lab.l4_feedback.feedback import SCALE, Reason, Settings
from rag_lab.l4_feedback.filters import vectorized

UNKNOWN = "unknown"


class User(NamedTuple):
    """One user. kept: how many items were; reliability: None for a user without a single valid item."""

    name: str
    items: int
    kept: int
    reliability: float | None


class Audit(NamedTuple):
    """A report on a log. now: the time at which it was judged; reasons: items by what became of them; domains:
    items and kept items of each; weight: mean weight of a kept item; users: the least reliable first, those
    without a reliability last.
    """

    now: float
    items: int
    kept: int
    weight: float | None
    reasons: dict[str, int]
    domains: dict[str, tuple[int, int]]
    users: list[User]

    @property
    def kept_share(self) -> float | None:
        """The share of items kept; None of an empty log."""
        return self.kept / self.items if self.items else None

    def document(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            **self._asdict(),
            "kept_share": self.kept_share,
            "domains": {name: {"items": items, "kept": kept} for name, (items, kept) in self.domains.items()},
            "users": [user._asdict() for user in self.users],
        }


def audit(path: Path, settings: Settings, domains: Sequence[str] | None = None, now: float | None = None) -> Audit:
    """Read a log (`log.read`: JSON Lines or Parquet) and judge it by a filter of these settings.

    All variants decide alike, so it does not matter which is asked; a long log takes the one that is quick on a
    CPU. domains: those to tell apart, by default all that the log names; now: seconds since the epoch, by default
    the time of the log's last item. DataError in one line, with the file and the line where there is one.
    """
    found = log.read(path, domains)
    time_s = found.batch.time_s
    if now is None:
        now = float(time_s[np.isfinite(time_s)].max(initial=-np.inf))
        now = now if np.isfinite(now) else 0.0  # no item has a time: whatever now is, none is valid
    try:
        desk = vectorized.judge(found.batch, now, settings)
    except DataError as error:
        raise DataError(str(error), path) from error
    kept = desk.reason == Reason.KEPT
    names = (*found.domains, UNKNOWN)
    domain = np.where(found.batch.domain < 0, len(found.domains), found.batch.domain)
    by_domain = zip(names, _count(domain, len(names)), _count(domain[kept], len(names)), strict=True)
    return Audit(
        now=now,
        items=len(kept),
        kept=int(kept.sum()),
        weight=float(desk.weight[kept].mean(dtype=np.float64)) if kept.any() else None,
        reasons={reason.name.lower(): int((desk.reason == reason).sum()) for reason in Reason},
        domains={name: (items, left) for name, items, left in by_domain if items},
        users=_users(found, desk.reliability / SCALE, kept, desk.reason != Reason.INVALID),
    )


def _users(
    found: log.Log,
    reliability: Float[np.ndarray, " N"],
    kept: Bool[np.ndarray, " N"],
    valid: Bool[np.ndarray, " N"],
) -> list[User]:
    """Every user of the log, the least reliable first."""
    own = np.full(len(found.users), np.nan)
    own[found.batch.user[valid]] = reliability[valid]
    items, left = (_count(found.batch.user[some], len(own)) for some in (slice(None), kept))
    return [
        User(str(found.users[place]), items[place], left[place], None if np.isnan(own[place]) else float(own[place]))
        for place in np.argsort(own, kind="stable").tolist()
    ]


def _count(numbers: np.ndarray, size: int) -> list[int]:
    counted: list[int] = np.bincount(numbers, minlength=size).tolist()
    return counted
