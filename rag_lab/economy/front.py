"""The non-dominated points of one large set, on the host.

moocore is called where it is installed (extra `peers`): its O(N log N) sweep is the quicker for one large set.
Otherwise our own kernel goes through blocks: in lexicographic order only an earlier point can dominate a later
one, so a block of points meets the front found so far and then itself, O(N · front). Many small sets at once are
quicker by `vmap` over `kernels.pareto.nondominated`, which is what routing does.

Objectives are minimised (see `kernels.pareto`), and compared as float32. Shapes: N points, M objectives.
"""

from __future__ import annotations

import importlib.util

import jax
import numpy as np
from jaxtyping import Bool, Float

from rag_lab.kernels import pareto

BLOCK = 1024  # points compared with as many at once: their dominance fits the processor's caches

_dominated_by, _nondominated = jax.jit(pareto.dominated_by), jax.jit(pareto.nondominated)


def nondominated(points: Float[np.ndarray, "N M"]) -> Bool[np.ndarray, " N"]:
    """Which points no other dominates; all duplicates of one are kept."""
    points = points.astype(np.float32)
    if importlib.util.find_spec("moocore") is None:
        return in_blocks(points)
    import moocore

    return moocore.is_nondominated(points.astype(np.float64), keep_weakly=True)


def in_blocks(points: Float[np.ndarray, "N M"]) -> Bool[np.ndarray, " N"]:
    """The same without moocore; points are float32."""
    order = np.lexsort(points.T[::-1])
    kept = np.zeros(len(points), bool)
    archive: list[tuple[np.ndarray, np.ndarray]] = []  # blocks of the front so far, and which rows are in use
    for start in range(0, len(points), BLOCK):
        rows = order[start : start + BLOCK]
        block, real = np.zeros((BLOCK, points.shape[1]), np.float32), np.arange(BLOCK) < len(rows)
        block[: len(rows)] = points[rows]
        for front, used in archive:
            real &= ~np.asarray(_dominated_by(block, front, used))
        real = np.asarray(_nondominated(block, real))
        kept[rows] = real[: len(rows)]
        _store(archive, block[real])
    return kept


def _store(archive: list[tuple[np.ndarray, np.ndarray]], points: Float[np.ndarray, "K M"]) -> None:
    """Add points of the front, filling the last block before beginning another."""
    while len(points):
        if not archive or archive[-1][1].all():
            archive.append((np.zeros((BLOCK, points.shape[1]), np.float32), np.zeros(BLOCK, bool)))
        front, used = archive[-1]
        filled = int(used.sum())
        fitting = points[: BLOCK - filled]
        front[filled : filled + len(fitting)], used[filled : filled + len(fitting)] = fitting, True
        points = points[len(fitting) :]
