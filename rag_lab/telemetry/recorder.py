"""What a run records of itself: latencies, counts and gauges, from any thread.

Every metric has a bounded number of label sets; beyond it the labels become `other`, so that nothing grows with the
number of queries. `Off` has the same methods and does nothing.

Units: milliseconds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from rag_lab.telemetry.names import OTHER
from rag_lab.telemetry.sketch import Histogram, Latencies

Labels = tuple[tuple[str, str], ...]  # sorted by name
Key = tuple[str, Labels]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Gauge:
    """What a quantity was: the last value, and all of them in short."""

    last: float
    low: float
    high: float
    total: float
    count: int

    def then(self, value: float) -> Gauge:
        """With one more value."""
        return Gauge(value, min(self.low, value), max(self.high, value), self.total + value, self.count + 1)


class Snapshot(NamedTuple):
    """What was recorded so far. latencies: by (variant, level)."""

    latencies: Mapping[tuple[str, str], Histogram]
    counters: Mapping[Key, float]
    gauges: Mapping[Key, Gauge]


class Recorder(Protocol):
    """Takes records; cheap, and safe to call from any thread."""

    def latencies(self, variant: str, taken_ms: Mapping[str, float], queries: int = 1) -> None:
        """What each level took, for so many queries that waited together."""
        ...

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Note a quantity as it is now."""
        ...


class Off:
    """Records nothing."""

    def latencies(self, variant: str, taken_ms: Mapping[str, float], queries: int = 1) -> None:
        """Nothing."""

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Nothing."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Nothing."""


class Recording:
    """Records, in memory. label_sets: at most so many of one metric."""

    def __init__(self, relative_error: float, label_sets: int) -> None:
        self._relative_error, self._label_sets = relative_error, label_sets
        self._lock = threading.Lock()
        self._latencies: dict[tuple[str, str], Latencies] = {}
        self._counters: dict[Key, float] = {}
        self._gauges: dict[Key, Gauge] = {}

    def latencies(self, variant: str, taken_ms: Mapping[str, float], queries: int = 1) -> None:
        """See `Recorder`."""
        with self._lock:
            for level, ms in taken_ms.items():
                found = self._latencies.get((variant, level))
                if found is None:
                    found = self._open(variant, level)
                found.add(ms, queries)

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """See `Recorder`."""
        with self._lock:
            key = self._key(self._counters, name, labels)
            self._counters[key] = self._counters.get(key, 0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """See `Recorder`."""
        with self._lock:
            key = self._key(self._gauges, name, labels)
            found = self._gauges.get(key)
            self._gauges[key] = Gauge(value, value, value, value, 1) if found is None else found.then(value)

    def snapshot(self) -> Snapshot:
        """A copy of everything so far."""
        with self._lock:
            return Snapshot(
                {key: one.histogram() for key, one in self._latencies.items()}, dict(self._counters), dict(self._gauges)
            )

    def _open(self, variant: str, level: str) -> Latencies:
        """The histogram of a new variant, or of all those beyond the bound."""
        if len({known for known, _ in self._latencies} | {variant}) > self._label_sets:
            variant = OTHER
        return self._latencies.setdefault((variant, level), Latencies(self._relative_error))

    def _key(self, known: Mapping[Key, Value], name: str, labels: Mapping[str, str]) -> Key:
        """The metric's key; within the bound, or with `other` for every label."""
        key = name, tuple(sorted(labels.items()))
        if key in known or sum(one == name for one, _ in known) < self._label_sets:
            return key
        return name, tuple((label, OTHER) for label in sorted(labels))
