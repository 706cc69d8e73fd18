"""The filter in plain Python, one item after the other: the reference that the other variants equal.

See `rag_lab.l4_feedback.feedback` for the model and its sources.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rag_lab.l4_feedback.feedback import (
    COST,
    GRAIN,
    MAX_AGE_S,
    MAX_DOMAINS,
    SCALE,
    AttentionTime,
    Depth,
    FeedbackBatch,
    Filtered,
    HalfLife,
    Limit,
    PriorItems,
    Reason,
    Settings,
    Severity,
    Share,
    Skew,
    as_filtered,
    checked,
)


class Item(NamedTuple):
    """One item; `grains` is its rating in parts of GRAIN."""

    user: int
    query: int
    domain: int
    rating: float
    time_s: float
    dwell_s: float
    position: int

    @property
    def grains(self) -> int:
        """The rating, read to the nearest grain (halves to even)."""
        return round(self.rating * GRAIN)


class Scalar(NamedTuple):
    """The filter."""

    settings: Settings

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        """Judge a batch; see `feedback.Filter`."""
        items = [Item(*row) for row in zip(*(column.tolist() for column in checked(batch, now)), strict=True)]
        weights, reasons = _weigh(items, now, self.settings)
        return as_filtered(np.array(weights, np.float32), np.array(reasons, np.int8))

    def close(self) -> None:
        """Nothing is held."""


def build(
    *,
    half_life_days: HalfLife,
    skew_s: Skew,
    attention_s: AttentionTime,
    severity: Severity,
    depth: Depth,
    prior_reliability: Share,
    prior_items: PriorItems,
    population_items: PriorItems,
    min_trust: Share,
    sigma_limit: Limit,
    robust_limit: Limit,
) -> Scalar:
    """The filter; `feedback` says what each setting does."""
    return Scalar(
        Settings(
            half_life_days, skew_s, attention_s, severity, depth, prior_reliability, prior_items,
            population_items, min_trust, sigma_limit, robust_limit,
        )
    )  # fmt: skip


def _weigh(items: Sequence[Item], now: float, settings: Settings) -> tuple[list[float], list[int]]:
    """Each item's weight and reason."""
    reasons = [int(Reason.KEPT)] * len(items)
    seen: set[tuple[int, int, float]] = set()
    judged: dict[int, Item] = {}
    for place, item in enumerate(items):
        identity = (item.user, item.query, item.time_s)
        if not _valid(item, now - item.time_s, settings.skew_s):
            reasons[place] = Reason.INVALID
        elif identity in seen:
            reasons[place] = Reason.DUPLICATE
        else:
            seen.add(identity)
            judged[place] = item

    _, first = _reliability(judged, _others(judged, judged), settings)
    means = _others(judged, _trusted(judged, first, settings))
    everyone, second = _reliability(judged, means, settings)
    reliability = {item.user: everyone for item in judged.values()} | first | second
    compared = {place: item for place, item in _trusted(judged, reliability, settings).items() if place in means}
    for place, reason in _outliers(compared, means, settings).items():
        reasons[place] = reason

    weights = [0.0] * len(items)
    for place, item in judged.items():
        trust = reliability[item.user] / SCALE * -math.expm1(-item.dwell_s / settings.attention_s)
        if reasons[place] != Reason.KEPT:
            continue
        if trust < settings.min_trust:
            reasons[place] = Reason.LOW_CONFIDENCE
            continue
        correction = (min(item.position, settings.depth) / settings.depth) ** settings.severity
        age = min(max(now - item.time_s, 0.0), MAX_AGE_S)
        weights[place] = trust * correction * math.exp(-settings.rate * age)
    return weights, reasons


def _valid(item: Item, age: float, skew_s: float) -> bool:
    numbers = all(map(math.isfinite, (item.rating, item.time_s, item.dwell_s)))
    ranges = 0 <= item.rating <= 1 and item.dwell_s >= 0 and item.position >= 1
    known = item.user >= 0 and item.query >= 0 and -1 <= item.domain < MAX_DOMAINS
    return numbers and ranges and known and age >= -skew_s


def _others(items: Mapping[int, Item], among: Mapping[int, Item]) -> dict[int, int]:
    """The mean rating of the others among some on an item's query, in grains; without any it is missing."""
    total: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for item in among.values():
        total[item.query] += item.grains
        count[item.query] += 1
    means = {}
    for place, item in items.items():
        own = place in among
        others = count[item.query] - own
        if others:
            means[place] = (total[item.query] - own * item.grains + others // 2) // others
    return means


def _reliability(
    judged: Mapping[int, Item], means: Mapping[int, int], settings: Settings
) -> tuple[int, dict[int, int]]:
    """The reliability, in parts of SCALE, of all users together, and of each who can be compared."""
    apart: Counter[int] = Counter()
    count: Counter[int] = Counter()
    for place, mean in means.items():
        item = judged[place]
        apart[item.user] += abs(item.grains - mean)
        count[item.user] += 1
    everyone = _agreement(apart.total(), count.total(), settings.population_items, settings.prior)
    return everyone, {user: _agreement(apart[user], count[user], settings.prior_items, everyone) for user in count}


def _trusted(judged: Mapping[int, Item], reliability: Mapping[int, int], settings: Settings) -> dict[int, Item]:
    """Items of trusted users; one who has not been compared is not."""
    return {place: item for place, item in judged.items() if reliability.get(item.user, -1) >= settings.trusted}


def _agreement(apart: int, items: int, prior_items: int, prior: int) -> int:
    """Agreement in parts of SCALE, shrunk towards `prior`; 0 where it would be negative. apart: grains in all."""
    return max(SCALE * items - COST * apart + prior_items * prior, 0) // (items + prior_items)


def _outliers(compared: Mapping[int, Item], means: Mapping[int, int], settings: Settings) -> dict[int, Reason]:
    """Which items differ from trusted others more than their domain's items do."""
    groups: dict[int, dict[int, int]] = defaultdict(dict)
    for place, item in compared.items():
        groups[item.domain][place] = item.grains - means[place]
    found: dict[int, Reason] = {}
    for differences in groups.values():
        values = sorted(differences.values())
        n = len(values)
        centre = sum(values) / n
        deviation = math.sqrt(sum((value - centre) ** 2 for value in values) / (n - 1)) if n > 1 else 0.0
        median = _median(values)
        mad = _median(sorted(abs(value - median) for value in values))
        mean_ad = sum(abs(value - median) for value in values) / n
        for place, value in differences.items():
            if deviation > 0 and abs(value - centre) / deviation > settings.sigma_limit:
                found[place] = Reason.OUTLIER_SIGMA
            elif _robust_z(abs(value - median), mad, mean_ad) > settings.robust_limit:
                found[place] = Reason.OUTLIER_ROBUST
    return found


def _median(values: Sequence[float]) -> float:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _robust_z(distance: float, mad: float, mean_ad: float) -> float:
    if mad > 0:
        return 0.6745 * distance / mad
    return distance / (1.253314 * mean_ad) if mean_ad > 0 else 0.0
