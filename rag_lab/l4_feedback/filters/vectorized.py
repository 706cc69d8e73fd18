"""The filter in NumPy, written for speed: `rag_lab.l4_feedback.steps` over all items at once.

See `rag_lab.l4_feedback.feedback` for the model and its sources.
"""

from __future__ import annotations

from typing import NamedTuple

from rag_lab.l4_feedback import steps, tables
from rag_lab.l4_feedback.feedback import (
    AttentionTime,
    Depth,
    FeedbackBatch,
    Filtered,
    HalfLife,
    Limit,
    PriorItems,
    Settings,
    Severity,
    Share,
    Skew,
    as_filtered,
    checked,
)


class Vectorized(NamedTuple):
    """The filter."""

    settings: Settings

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        """Judge a batch; see `feedback.Filter`."""
        desk = judge(batch, now, self.settings)
        return as_filtered(desk.weight, desk.reason)

    def close(self) -> None:
        """Nothing is held."""


def judge(batch: FeedbackBatch, now: float, settings: Settings) -> steps.Desk:
    """All that the filter finds of a batch. DataError as `feedback.checked` says."""
    batch, desk = steps.prepare(checked(batch, now), now, settings.skew_s)
    everything = slice(0, len(batch.user))
    ids, sizes = steps.numbered(batch)
    packed = steps.by_query(ids, desk, everything, sizes.queries)
    steps.compare(ids, desk, everything, packed, desk.judged)
    first = tables.reliability(steps.by_user(ids, desk, everything, sizes.users), None, settings)
    steps.trust(ids, desk, everything, first, settings.trusted)
    packed -= steps.distrusted(ids, desk, everything, sizes.queries)
    steps.compare(ids, desk, everything, packed, desk.trusted)
    second = tables.reliability(steps.by_user(ids, desk, everything, sizes.users), first, settings)
    steps.trust(ids, desk, everything, second, settings.trusted)
    differences = steps.differ(batch, desk, everything, sizes.groups)
    steps.decide(batch, desk, everything, tables.outliers(differences, settings), settings)
    return desk


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
) -> Vectorized:
    """The filter; `feedback` says what each setting does."""
    return Vectorized(
        Settings(
            half_life_days, skew_s, attention_s, severity, depth, prior_reliability, prior_items,
            population_items, min_trust, sigma_limit, robust_limit,
        )
    )  # fmt: skip
