"""What a layer counts while it works, and the snapshot of it that experiments read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from operator import sub
from threading import Lock
from typing import NamedTuple

# Upper ends of the latency histogram's buckets in seconds: five a decade, 1 µs to 10 s; the last is open.
BOUNDS_S = tuple(10 ** (step / 5 - 6) for step in range(36))


class Counts(NamedTuple):
    """One layer's numbers since it was opened.

    hits, misses: keys asked. expired, corrupt: misses whose bytes were there but too old, or not a value of ours.
    waited: misses that another thread was computing already. refreshed: hits computed anew before their end.
    errors: calls of the server that failed; memory or computing answered. evictions: by the memory's bound.
    false_hits: served values that were proved wrong. near_hits: misses that a near question's value served.
    bytes_read, bytes_written: of values. reads: batches asked; latency: how many of them took no longer than each of
    BOUNDS_S and longer than the one before, and the rest.
    """

    hits: int = 0
    misses: int = 0
    expired: int = 0
    corrupt: int = 0
    waited: int = 0
    refreshed: int = 0
    errors: int = 0
    evictions: int = 0
    false_hits: int = 0
    near_hits: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    reads: int = 0
    latency: tuple[int, ...] = (0,) * (len(BOUNDS_S) + 1)

    @property
    def hit_rate(self) -> float | None:
        """Hits, of near questions too, of all keys asked; None where none was."""
        asked = self.hits + self.misses
        return (self.hits + self.near_hits) / asked if asked else None

    def latency_ms(self, share: float) -> float | None:
        """The upper end of the bucket in which this quantile of the reads' times lies; None without reads."""
        passed = 0
        for bound, count in zip((*BOUNDS_S, float("inf")), self.latency, strict=True):
            passed += count
            if count and passed >= share * self.reads:
                return bound * 1000
        return None

    def since(self, earlier: Counts) -> Counts:
        """What was added after an earlier snapshot."""
        numbers = {name: getattr(self, name) - getattr(earlier, name) for name in NUMBERS}
        return Counts(**numbers, latency=tuple(map(sub, self.latency, earlier.latency)))


NUMBERS = Counts._fields[:-1]


class Snapshot(NamedTuple):
    """A cache's numbers at one moment. server_evictions: keys that the whole server evicted since the cache was
    opened, whoever wrote them. notes: what a reader must be told, each once.
    """

    layers: Mapping[str, Counts]
    server_evictions: int
    notes: tuple[str, ...]

    @property
    def together(self) -> Counts:
        """All layers' numbers, added up."""
        each = self.layers.values()
        numbers = {name: sum(getattr(one, name) for one in each) for name in NUMBERS}
        return Counts(**numbers, latency=tuple(map(sum, zip(*(one.latency for one in each), strict=True))))


class Counters:
    """Numbers that only grow. Safe for threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = dict.fromkeys(NUMBERS, 0)
        self._latency = [0] * (len(BOUNDS_S) + 1)

    def read(self, seconds: float, **numbers: int) -> None:
        """Count a batch that was asked, and what came of it."""
        with self._lock:
            self._latency[bisect_left(BOUNDS_S, seconds)] += 1
            self._numbers["reads"] += 1
            for name, number in numbers.items():
                self._numbers[name] += number

    def add(self, **numbers: int) -> None:
        """Count something that is not a read."""
        with self._lock:
            for name, number in numbers.items():
                self._numbers[name] += number

    def snapshot(self) -> Counts:
        """The numbers now."""
        with self._lock:
            return Counts(**self._numbers, latency=tuple(self._latency))
