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
        settings = self.settings
        batch, desk = steps.prepare(checked(batch, now), now, settings.skew_s)
        everything = slice(0, len(batch.user))
        ids, sizes = steps.numbered(batch)
        packed = steps.by_query(ids, desk, everything, sizes.queries)
        means = steps.compare(batch, ids, desk, everything, packed, sizes.groups)
        blame = steps.by_user(batch, ids, desk, everything, tables.chance(means), sizes.users)
        reliable = tables.reliability(blame, int(means.sum()), settings)
        steps.trust(ids, desk, everything, reliable, settings.trusted)
        packed -= steps.distrusted(ids, desk, everything, sizes.queries)
        differences = steps.differ(batch, ids, desk, everything, packed, sizes.groups)
        steps.decide(batch, desk, everything, tables.outliers(differences, settings), settings)
        return as_filtered(desk.weight, desk.reason)

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
) -> Vectorized:
    """The filter; `feedback` says what each setting does."""
    return Vectorized(
        Settings(
            half_life_days, skew_s, attention_s, severity, depth, prior_reliability, prior_items,
            population_items, min_trust, sigma_limit, robust_limit,
        )
    )  # fmt: skip
