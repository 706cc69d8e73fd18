"""The k best scores of each query, selected on the host by NumPy.

The same two stages as `rag_lab.kernels.topk`, for a CPU: NumPy's quickselect is vectorised, XLA's `top_k` keeps a
heap one score at a time (k = 100 of 10,000: 12 against 41 µs a query). Results are equal, ties and all.

Shapes: Q queries, N scores of each, G groups of neighbours, K = min(k, N) winners.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.errors import DataError

SMALLEST, LARGEST = 8, 64  # scores to a group: below, maxima cost what they save; above, whole cache pages


class Nearest(NamedTuple):
    """The best passages of each query, best first, ties by corpus order: places in the corpus, inner products."""

    passage: Int[np.ndarray, "Q K"]
    score: Float[np.ndarray, "Q K"]


def group_size(n: int, k: int) -> int:
    """Scores to a group, a power of two near √(n / 2k): reading k groups costs more than skipping a maximum."""
    return min(max(1 << round(math.log2(max(n / k / 2, 1)) / 2), SMALLEST), LARGEST)


def select(
    scores: Float[np.ndarray, "Q N"],
    maxima: Float[np.ndarray, "Q G"] | None,
    k: int,
    least: Float[np.ndarray, " Q"] | None = None,
) -> Nearest:
    """The `k` best of each row, in one stage without maxima.

    maxima: of every group of `group_size(N, k)` neighbours, a last part of a group left out. least: of each row, a
    score that winners must exceed to matter: groups that do not may be left out, and fewer than k be returned.
    """
    (rows, n), k = scores.shape, min(k, scores.shape[1])
    row, wanted = np.arange(rows)[:, None], k
    if maxima is not None and least is not None:
        wanted = min(k, max(1, int((maxima > least[:, None]).sum(axis=1).max())))
    if maxima is None or maxima.shape[1] <= wanted:
        columns = first_best(scores, k)
        return _ordered(columns, scores[row, columns])
    group, count = group_size(n, k), maxima.shape[1]
    inside = first_best(maxima, wanted)[:, :, None] * group + np.arange(group)
    rest = np.broadcast_to(np.arange(count * group, n), (rows, n - count * group))
    places = np.concatenate([inside.reshape(rows, -1), rest], axis=1)
    values = scores[row, places]
    columns = first_best(values, min(k, values.shape[1]))
    return _ordered(places[row, columns], values[row, columns])


def merge(first: Nearest, second: Nearest, k: int) -> Nearest:
    """The `k` best of two selections; in case of ties those of `first`, whose places must come before."""
    both = _ordered(*(np.concatenate(parts, axis=1) for parts in zip(first, second, strict=True)))
    return Nearest(both.passage[:, :k], both.score[:, :k])


def first_best(values: Float[np.ndarray, "Q M"], k: int) -> Int[np.ndarray, "Q K"]:
    """Columns of the `k` best of each row, ties to the left, in ascending order. DataError where one is NaN."""
    rows, n = values.shape
    best = np.partition(values, n - k, axis=1)[:, n - k :]  # NaN counts as the largest
    if np.isnan(best).any():
        raise DataError("a score is not a number; vectors must be finite")
    least = best[:, :1]
    found = np.flatnonzero(values >= least)
    if len(found) > rows * k:  # ties across the border: take as many as there is room for, from the left
        above, level = values > least, values == least
        room = k - above.sum(axis=1, keepdims=True)
        found = np.flatnonzero(above | (level & (level.cumsum(axis=1) <= room)))
    return found.reshape(rows, k) - np.arange(0, rows * n, n)[:, None]


def _ordered(places: Int[np.ndarray, "Q K"], values: Float[np.ndarray, "Q K"]) -> Nearest:
    """Best first; `places` ascend wherever values tie."""
    order = np.argsort(-values, axis=1, kind="stable")
    row = np.arange(len(values))[:, None]
    return Nearest(places[row, order], values[row, order])
