"""Exact nearest passages by inner product: one query or many, over a corpus of any size.

The corpus lies in blocks: in memory they stay on the device, of a memory map one at a time is read. Queries come
in tiles. A tile's scores of a block are one matrix product, small enough to stay near the processor and never to
ask the system for fresh pages; their selection runs while the next product does. Float32 throughout.

Shapes: N passages, D dimensions, Q queries, G groups of neighbours, K = min(k, N) winners.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from rag_lab.kernels.topk import Best, top_k
from rag_lab.l1_retrieval import selection
from rag_lab.l1_retrieval.selection import Nearest

Finish = Callable[[Float[np.ndarray, " Q"] | None], Nearest]  # given the scores that new winners must exceed
Started = tuple[int, int, Finish]  # the tile's number, the block's first row, and what finishes the work


class Plan(NamedTuple):
    """How work is cut.

    tiles: numbers of queries at a time, ascending; fewer are padded to the next. scores: the most that a tile
    may have of a block. streamed: the most numbers that a block of a memory map may hold. on_host: NumPy selects.
    cached: the most numbers in a block that NumPy's BLAS multiplies with a single query.
    """

    tiles: tuple[int, ...]
    scores: int
    streamed: int
    on_host: bool
    cached: int


# 8 MB of scores: they stay in the cache, and two such buffers are few enough for glibc to keep; fresh pages from
# the system cost as much as a third of the product. 64 queries already reach the processor's full speed. For one
# query and 32 MB of passages all is over before XLA's threads have woken up, where BLAS' still spin; on larger
# blocks they are equally quick.
CPU = Plan(tiles=(1, 8, 64), scores=1 << 21, streamed=1 << 26, on_host=True, cached=1 << 23)
ACCELERATOR = Plan(tiles=(1, 64, 1024), scores=1 << 28, streamed=1 << 28, on_host=False, cached=0)


@partial(jax.jit, static_argnames="group")
def _scores(
    queries: Float[Array, "Q D"], passages: Float[Array, "N D"], group: int
) -> tuple[Float[Array, "Q N"], Float[Array, "Q G"]]:
    """All scores, and the maximum of every whole group of neighbours."""
    scores = jnp.matmul(queries, passages.T, precision=jax.lax.Precision.HIGHEST)
    whole = passages.shape[0] - passages.shape[0] % group
    return scores, scores[:, :whole].reshape(len(queries), -1, group).max(axis=-1)


@partial(jax.jit, static_argnames="k")
def _best(queries: Float[Array, "Q D"], passages: Float[Array, "N D"], k: int) -> Best:
    """The winners of one block, selected where the scores are."""
    scores = jnp.matmul(queries, passages.T, precision=jax.lax.Precision.HIGHEST)
    return jax.vmap(lambda one: top_k(one, k))(scores)


class Dense:
    """Passages, searchable by vector: kept on the device, or of an `np.memmap` streamed at each search."""

    def __init__(self, vectors: Float[np.ndarray, "N D"], plan: Plan) -> None:
        self.plan, streamed = plan, isinstance(vectors, np.memmap)
        count, dimensions = vectors.shape
        rows = plan.scores // plan.tiles[-1]
        if streamed:
            rows = min(rows, plan.streamed // dimensions)
        pieces = max(1, -(-count // max(rows, 1)))  # equal but for one row: at most two programs are compiled
        ends = [count * piece // pieces for piece in range(pieces + 1)]
        blocks = [vectors[start:end] for start, end in pairwise(ends)]
        self._starts = ends[:-1]
        self.blocks: list[Any] = blocks if streamed else [jnp.asarray(one, jnp.float32) for one in blocks]

    def search(self, queries: Float[np.ndarray, "Q D"], k: int) -> Nearest:
        """The `k` best passages of a query; k > N takes all N. DataError (on a CPU) where a score is NaN."""
        tile = self.plan.tiles[-1]
        tiles = [np.asarray(queries[at : at + tile], np.float32) for at in range(0, len(queries), tile)]
        found: list[Nearest | None] = [None] * len(tiles)
        for at, start, finish in _ahead(self._started(tiles, k)):
            before = found[at]
            new = finish(None if before is None or before.score.shape[1] < k else before.score[:, -1])
            new = Nearest(new.passage + start, new.score)
            found[at] = new if before is None else selection.merge(before, new, k)
        kept = [one for one in found if one is not None]
        return kept[0] if len(kept) == 1 else Nearest(*map(np.concatenate, zip(*kept, strict=True)))

    def _started(self, tiles: list[Float[np.ndarray, "Q D"]], k: int) -> Iterator[Started]:
        """Every product in turn."""
        for start, kept in zip(self._starts, self.blocks, strict=True):
            block = jnp.asarray(kept, jnp.float32) if isinstance(kept, np.ndarray) else kept
            for at, queries in enumerate(tiles):
                yield at, start, self._start(queries, block, min(k, len(block)))

    def _start(self, queries: Float[np.ndarray, "Q D"], block: Array, k: int) -> Finish:
        """Start one product; what is returned waits for it and selects."""
        count = len(queries)
        if count == 1 and block.size <= self.plan.cached:
            here = queries @ np.asarray(block).T
            return lambda least: selection.select(here, None, k)
        missing = next(size for size in self.plan.tiles if size >= count) - count
        padded = np.pad(queries, ((0, missing), (0, 0))) if missing else queries
        if not self.plan.on_host:
            best = _best(padded, block, k)
            return lambda least: Nearest(*(np.asarray(part)[:count] for part in best))
        scores, maxima = _scores(padded, block, selection.group_size(len(block), k))
        return lambda least: selection.select(np.asarray(scores)[:count], np.asarray(maxima)[:count], k, least)


def _ahead(started: Iterator[Started]) -> Iterator[Started]:
    """Each item, once the next one has been started."""
    waiting = next(started, None)
    while waiting is not None:
        following = next(started, None)
        yield waiting
        waiting = following


def plan() -> Plan:
    """The plan for the device at hand."""
    return CPU if jax.default_backend() == "cpu" else ACCELERATOR
