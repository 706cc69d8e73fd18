"""The feedback filter's small tables in NumPy: what is made of the counts that `steps` adds up.

See `rag_lab.l4_feedback.feedback` for the model and its sources.

Shapes: U users, G groups (domain + 1; the first is the unknown domain), R = GRAIN + 1 ratings, V = 2·GRAIN +
1 differences.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int, Int8, Int16, Int64

from rag_lab.l4_feedback.feedback import COST, GRAIN, SCALE, UNREAD, Reason, Settings

PACK = 1 << 30  # count · PACK + sum in one float64: above any sum of grains, and exact below 2⁵³
RATINGS, DIFFERENCES = GRAIN + 1, 2 * GRAIN + 1


def reliability(
    packed: Float64[np.ndarray, " U"], before: Int16[np.ndarray, " U"] | None, settings: Settings
) -> Int16[np.ndarray, " U"]:
    """Each user's reliability in parts of SCALE, read for the first time, UNREAD where there was no comparison, or
    again: whoever was compared only before keeps that.
    """
    whole = packed.astype(np.int64)
    apart, count = whole & (PACK - 1), whole // PACK

    def agreement(apart: Int, items: Int, prior_items: int, prior: int) -> Int:
        return np.maximum(SCALE * items - COST * apart + prior_items * prior, 0) // (items + prior_items)

    everyone = int(agreement(apart.sum(), count.sum(), settings.population_items, settings.prior))
    own = agreement(apart, count, settings.prior_items, everyone).astype(np.int16)
    if before is None:
        return np.where(count > 0, own, np.int16(UNREAD))
    return np.where((count > 0) | (before == UNREAD), own, before)


def outliers(counts: Int64[np.ndarray, "G V"], settings: Settings) -> Int8[np.ndarray, "G V"]:
    """The reason, if any, that a difference in a group gives to drop its item."""
    value = np.arange(DIFFERENCES) - GRAIN
    n = counts.sum(axis=1, keepdims=True)
    some = np.maximum(n, 1)
    mean = (counts * value).sum(axis=1, keepdims=True) / some
    deviation = np.sqrt((counts * (value - mean) ** 2).sum(axis=1, keepdims=True) / np.maximum(n - 1, 1))
    doubled = _doubled_median(counts, n)
    doubled -= 2 * GRAIN  # from places to values
    distance = np.abs(2 * value - doubled)  # twice the distance from the median, which is whole
    by_distance = np.zeros((len(counts), 2 * DIFFERENCES), np.int64)
    np.add.at(by_distance, (np.arange(len(counts))[:, None], distance), counts)
    mad = _doubled_median(by_distance, n) / 4
    mean_ad = (counts * distance).sum(axis=1, keepdims=True) / (2 * some)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN, which exceeds no limit
        sigma = np.abs(value - mean) / deviation > settings.sigma_limit
        z = np.where(mad > 0, 0.6745 * (distance / 2) / mad, (distance / 2) / (1.253314 * mean_ad))
    reason = np.where(z > settings.robust_limit, Reason.OUTLIER_ROBUST, Reason.KEPT)
    return np.where(sigma & (deviation > 0), Reason.OUTLIER_SIGMA, reason).astype(np.int8)


def _doubled_median(counts: Int64[np.ndarray, "G n"], n: Int64[np.ndarray, "G 1"]) -> Int64[np.ndarray, "G 1"]:
    """The sum of the places of the two middle items."""
    upto = counts.cumsum(axis=1)
    low, high = ((upto <= rank).sum(axis=1, keepdims=True) for rank in ((n - 1) // 2, n // 2))
    return np.where(n > 0, low + high, 0)
