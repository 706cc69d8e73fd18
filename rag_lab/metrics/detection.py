"""How well a domain detector tells domains apart, and knows when it does not.

accuracy: the share of queries given their true domain; silence is not right.
macro-F1: the mean over domains of 2·TP / (2·TP + FP + FN), every domain weighing the same (Sokolova and Lapalme
2009, Information Processing & Management 45(4)); silence is a miss of the true domain and nobody's false alarm.
Abstention (Chow 1970, IEEE Transactions on Information Theory 16(1)) is right where the domain that was held back,
the likeliest, is wrong. precision: wrong ones among those held back; recall: held back among the wrong ones.
calibration error: Σ over BINS equal bins of confidence of (share of queries in it) · |accuracy − mean confidence|,
of the likeliest domain whether held back or not (Guo, Pleiss, Sun and Weinberger 2017, ICML).

Intervals resample clusters of queries within each domain, as `significance` does. Where there is nothing to divide
by there is no number: absent is not zero.

Shapes: Q queries, C domains, R resamples, K clusters of one domain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.metrics.interval import Interval, around

BINS = 15  # as in the paper


class Quality(NamedTuple):
    """See the module. confusion: queries by true domain (row) and by the domain chosen, silence being the last.

    answered: the share of queries on which the detector was not silent; right_when_answered: accuracy on those.
    """

    queries: int
    accuracy: Interval
    macro_f1: Interval
    answered: float
    right_when_answered: float | None
    abstain_precision: float | None
    abstain_recall: float | None
    calibration_error: float
    confusion: Int[np.ndarray, "C C+1"]


def quality(
    truth: Int[np.ndarray, " Q"],
    probabilities: Float[np.ndarray, "Q C"],
    chosen: Int[np.ndarray, " Q"],
    cluster: Int[np.ndarray, " Q"],
    *,
    seed: int,
    resamples: int,
) -> Quality:
    """Everything at once, of at least one query.

    truth: domain indexes; chosen: the same, or -1 for silence; cluster: numbered within a domain.
    """
    domains = probabilities.shape[1]
    chosen = np.where(chosen < 0, domains, chosen)
    confusion = tally(truth, chosen, domains, domains + 1)
    draws = resampled(truth, chosen, cluster, domains, seed, resamples)
    silent, wrong = chosen == domains, probabilities.argmax(axis=1) != truth
    right = chosen == truth
    precision, recall = abstention(silent, wrong)
    return Quality(
        len(truth),
        around(float(accuracy(confusion)), accuracy(draws)),
        around(float(macro_f1(confusion)), macro_f1(draws)),
        float((~silent).mean()),
        None if silent.all() else float(right[~silent].mean()),
        precision,
        recall,
        calibration_error(probabilities.max(axis=1), ~wrong),
        confusion,
    )


def tally(row: Int[np.ndarray, " Q"], column: Int[np.ndarray, " Q"], rows: int, columns: int) -> Int[np.ndarray, "r c"]:
    """How many queries fall into each cell."""
    return np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)


def resampled(
    truth: Int[np.ndarray, " Q"],
    chosen: Int[np.ndarray, " Q"],
    cluster: Int[np.ndarray, " Q"],
    domains: int,
    seed: int,
    resamples: int,
) -> Int[np.ndarray, "R C C+1"]:
    """Confusion matrices of resamples: in each domain as many clusters as it has, drawn with replacement."""
    random = np.random.default_rng(seed)
    out = np.zeros((resamples, domains, domains + 1), np.int64)
    for domain in np.unique(truth):
        own = truth == domain
        names, member = np.unique(cluster[own], return_inverse=True)
        drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
        out[:, domain] = drawn @ tally(member, chosen[own], len(names), domains + 1)
    return out


def accuracy(confusion: Int[np.ndarray, "*R C C+1"]) -> Float[np.ndarray, "*R"]:
    """The share on the diagonal."""
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum(axis=(-2, -1))


def macro_f1(confusion: Int[np.ndarray, "*R C C+1"]) -> Float[np.ndarray, "*R"]:
    """The mean of F1 over the domains that have a query."""
    asked = confusion.sum(axis=-1)
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    said = confusion[..., :-1].sum(axis=-2)
    present = asked > 0
    each = np.where(present, 2 * hits / np.maximum(asked + said, 1), 0.0)  # asked + said = 2·TP + FP + FN
    return each.sum(axis=-1) / present.sum(axis=-1)


def abstention(silent: Bool[np.ndarray, " Q"], wrong: Bool[np.ndarray, " Q"]) -> tuple[float | None, float | None]:
    """Precision and recall of holding back. wrong: whether the likeliest domain is not the true one."""
    both = float((silent & wrong).sum())
    return both / silent.sum() if silent.any() else None, both / wrong.sum() if wrong.any() else None


def calibration_error(confidence: Float[np.ndarray, " Q"], right: Bool[np.ndarray, " Q"]) -> float:
    """Expected calibration error; a confidence on the edge of two bins belongs to the lower one."""
    place = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    gaps = np.bincount(place, right.astype(float) - confidence, BINS)
    return float(np.abs(gaps).sum() / len(confidence))
