"""Batches of feedback for tests: by hand, random, and hostile."""

from __future__ import annotations

from typing import Any

import numpy as np

from rag_lab.l4_feedback.feedback import FeedbackBatch, Settings

NOW = 1_760_000_000.0
# min_trust · 1024 is not whole, so that scaling it a little moves no user over the limit.
SETTINGS = Settings(
    half_life_days=30.0, skew_s=300.0, attention_s=5.0, severity=0.5, depth=10, prior_reliability=0.7,
    prior_items=4, population_items=20, min_trust=0.2503, sigma_limit=3.0, robust_limit=3.5,
)  # fmt: skip
NARROW = SETTINGS._replace(
    half_life_days=0.5, skew_s=0.0, attention_s=40.0, severity=2.0, depth=3, prior_reliability=0.31, prior_items=1,
    population_items=1, min_trust=0.051, sigma_limit=1.7, robust_limit=1.3,
)  # fmt: skip


def batch(rows: list[dict[str, Any]]) -> FeedbackBatch:
    """A batch of items that are what they would be by default, but for what is given."""
    default = {
        "user": 0, "query": 0, "domain": 0, "rating": 0.5, "time_s": NOW, "dwell_s": 1e6, "position": 10,
    }  # fmt: skip
    full = [default | row for row in rows]
    kinds = (np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32)
    return FeedbackBatch(
        *(np.array([row[name] for row in full], kind) for name, kind in zip(FeedbackBatch._fields, kinds, strict=True))
    )


def hostile(random: np.random.Generator, most: int = 60) -> FeedbackBatch:
    """A small batch in which users meet, and in which often something is wrong, extreme, or on a limit."""
    items = int(random.integers(0, most + 1))
    users, queries = random.integers(1, 12), random.integers(1, 10)
    levels = random.choice([1, 2, 3, 5, 1000])
    query = random.integers(0, queries, items)
    rating = random.integers(0, levels, items) / max(levels - 1, 1)
    if random.random() < 0.7:  # mostly agreement, so that users are trusted and differences are outliers
        agreed = random.integers(0, levels, queries) / max(levels - 1, 1)
        rating = np.where(random.random(items) < random.choice([0.02, 0.05, 0.2]), rating, agreed[query])
        rating = np.clip(rating + random.choice([0.0, 0.01, 0.05]) * random.standard_normal(items), 0, 1)
    time_s = NOW - random.choice([0.0, 1.0, 3600.0, 86_400.0, 1e7], items) * random.integers(0, 5, items)
    columns = [
        random.integers(0, users, items),
        query,
        random.integers(-1, random.integers(0, 4), items),
        rating,
        time_s,
        random.choice([2.0, 30.0, 400.0], items) * random.random(items),
        random.integers(1, 15, items),
    ]
    wrong: list[list[float]] = [
        [-1, -(2**31), 2**31 - 1],
        [-7, 2**31 - 1],
        [-2, 256, 2**31 - 1, -(2**31)],
        [np.nan, np.inf, -np.inf, -1e-9, 1.0000002, 1.0, 0.0, 1e-40, 3e38],
        [np.nan, np.inf, -np.inf, NOW + 299, NOW + 300, NOW + 301, NOW + 1e6, -1e18, 0.0, -0.0, 1e308, -1e308],
        [np.nan, np.inf, -np.inf, -1.0, -0.0, 0.0, 3e38, 1e-40],
        [0, -3, 2**31 - 1, 1],
    ]
    share = random.choice([0.0, 0.0, 0.02, 0.2])
    for column, values in zip(columns, wrong, strict=True):
        places = np.flatnonzero(random.random(items) < share)
        column[places] = random.choice(values, len(places))
    if items and random.random() < 0.3:  # repeats: whole items, and items that differ in their rating alone
        places = random.integers(0, items, items // 3)
        sources = random.integers(0, items, items // 3)
        for number, column in enumerate(columns):
            if number != 3 or random.random() < 0.5:
                column[places] = column[sources]
    kinds = (np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32)
    with np.errstate(over="ignore"):
        return FeedbackBatch(*(column.astype(kind) for column, kind in zip(columns, kinds, strict=True)))
