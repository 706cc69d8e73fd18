"""Latencies as histograms of a fixed relative error: DDSketch (Masson, Rim, Lee 2019, PVLDB 12), by its own library.

A bin holds the values v with ceil(log_γ v) equal to its number, γ = (1 + error) / (1 − error), so any quantile is found
within the relative error, and histograms of the same error add up bin by bin, over windows and over processes. Counts
are exact (up to 2^53). Units: milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LogarithmicMapping
from ddsketch.store import DenseStore


@dataclass(frozen=True, slots=True)
class Histogram:
    """What was recorded so far. bins: number of the bin -> how many values; zeros: those too small for any bin."""

    relative_error: float
    count: int
    sum_ms: float
    zeros: int
    bins: dict[int, int]

    def quantile(self, share: float) -> float | None:
        """The value below which a share of all values lies, within the relative error; None where there is none."""
        found = self._sketch().get_quantile_value(share)
        return None if found is None else float(found)

    def at_most(self, bounds_ms: Iterable[float]) -> list[int]:
        """How many values are at most each of the bounds, which ascend; a bound holds within the relative error."""
        value = LogarithmicMapping(self.relative_error).value
        bins = sorted((value(number), count) for number, count in self.bins.items())
        counts, total, place = [], self.zeros, 0
        for bound in bounds_ms:
            while place < len(bins) and bins[place][0] <= bound:
                total += bins[place][1]
                place += 1
            counts.append(total)
        return counts

    def __add__(self, other: Histogram) -> Histogram:
        """Both together. ValueError where their errors differ."""
        return self._with(other, 1)

    def __sub__(self, earlier: Histogram) -> Histogram:
        """What was recorded since an earlier state of the same histogram."""
        return self._with(earlier, -1)

    def _with(self, other: Histogram, sign: int) -> Histogram:
        if self.relative_error != other.relative_error:
            raise ValueError(f"histograms of errors {self.relative_error} and {other.relative_error} do not add up")
        bins = Counter(self.bins)
        for number, count in other.bins.items():
            bins[number] += sign * count
        return Histogram(
            self.relative_error,
            self.count + sign * other.count,
            self.sum_ms + sign * other.sum_ms,
            self.zeros + sign * other.zeros,
            {number: count for number, count in bins.items() if count},
        )

    def _sketch(self) -> BaseDDSketch:
        store = DenseStore()
        for number, count in self.bins.items():
            store.add(number, count)
        return BaseDDSketch(LogarithmicMapping(self.relative_error), store, DenseStore(), self.zeros)


class Latencies:
    """A histogram that takes values; not safe for threads by itself."""

    __slots__ = ("_relative_error", "_sketch", "_store", "add")

    def __init__(self, relative_error: float) -> None:
        self._relative_error, self._store = relative_error, DenseStore()
        self._sketch = BaseDDSketch(LogarithmicMapping(relative_error), self._store, DenseStore(), 0.0)
        self.add = self._sketch.add  # (milliseconds, how many): a call less on the way of every record

    def histogram(self) -> Histogram:
        """A copy of what was recorded."""
        store, count = self._store, round(self._sketch.count)
        bins = {number + store.offset: round(one) for number, one in enumerate(store.bins) if one}
        return Histogram(self._relative_error, count, self._sketch.sum, count - round(store.count), bins)
