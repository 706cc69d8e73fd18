"""How well a filter tells noise from feedback, where the truth is known.

Precision, recall and F1 take noise as what is to be found and a dropped item as found (van Rijsbergen 1979,
Information Retrieval). None where there is nothing to divide by: absent is not zero.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Detection(NamedTuple):
    """precision: noise among what was dropped; recall: dropped among the noise; f1: their harmonic mean.
    noise_share: noise among the items; noise_weight: of the weight given, the share that noise got.
    """

    precision: float | None
    recall: float | None
    f1: float | None
    noise_share: float | None
    noise_weight: float | None


def detection(
    keep: Bool[np.ndarray, " N"], weight: Float[np.ndarray, " N"], noise: Bool[np.ndarray, " N"]
) -> Detection:
    """Score a filter's flags and weights against what is known to be noise."""
    caught = int((~keep & noise).sum())
    total = float(weight.sum(dtype=np.float64))
    precision, recall, f1 = scores(caught, int((~keep).sum()), int(noise.sum()))
    return Detection(
        precision,
        recall,
        f1,
        float(noise.mean()) if len(noise) else None,
        float(weight[noise].sum(dtype=np.float64)) / total if total > 0 else None,
    )


def scores(caught: int, dropped: int, noise: int) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1 from counts: dropped items that are noise, dropped items, noise."""
    return (
        caught / dropped if dropped else None,
        caught / noise if noise else None,
        2 * caught / (dropped + noise) if noise else None,
    )
