"""What a semantic layer promises, and the threshold that keeps it: false hits at most so often, so surely.

As vCache does for each prompt (Schroeder et al. 2025, arXiv:2502.03771), here once for all: the lowest cosine at which
the upper confidence bound of the rate of false hits, on questions whose right answers are known, keeps the promise
(Clopper and Pearson 1934, Biometrika 26; Bonferroni over the thresholds tried). None: nothing may be served so.

Shapes: Q questions.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

Share = Annotated[float, Field(ge=0, le=1)]
TAIL = 0.025  # of either side of an interval of 95%


class Semantic(NamedTuple):
    """Settings. serve: whether near questions are served alike at all; thresholds: cosines tried; overlap: the gate's,
    of content words; false_hits: of hits, the promise; confidence: with which it is to be kept; questions: remembered
    at most of each collection."""

    serve: bool
    thresholds: Annotated[tuple[float, ...], Field(min_length=1)]
    overlap: Share
    false_hits: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]
    questions: Annotated[int, Field(ge=1)]


class Met(NamedTuple):
    """The nearest other question to each. passes: the gate; right: what it found serves this one too."""

    cosine: Float[np.ndarray, " Q"]
    passes: Bool[np.ndarray, " Q"]
    right: Bool[np.ndarray, " Q"]


class Rate(NamedTuple):
    """Hits at a threshold, how many of them are false, and the 95% interval of the share that is."""

    at: float
    hits: int
    false: int
    low: float
    high: float


def threshold(train: Met, promise: Semantic) -> float | None:
    """The lowest that keeps the promise on these questions; None where none does."""
    tail = (1 - promise.confidence) / len(promise.thresholds)
    found = [rate(train, at) for at in promise.thresholds]
    return min((one.at for one in found if bounds(one.false, one.hits, tail)[1] <= promise.false_hits), default=None)


def rate(met: Met, at: float) -> Rate:
    """What a threshold would let through."""
    hit = met.passes & (met.cosine >= at)
    hits, false = int(hit.sum()), int((hit & ~met.right).sum())
    return Rate(at, hits, false, *bounds(false, hits, TAIL))


def bounds(false: int, hits: int, tail: float) -> tuple[float, float]:
    """The ends of Clopper and Pearson's interval of a rate, each beyond which it lies with at most this chance."""
    from scipy.special import betaincinv

    low = float(betaincinv(false, hits - false + 1, tail)) if false else 0.0
    return low, float(betaincinv(false + 1, hits - false, 1 - tail)) if false < hits else 1.0
