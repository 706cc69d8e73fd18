"""What the two rankers' scores say of a query before anyone has judged an answer.

How far each ranker's best stands out, how its scores spread, and whether the two agree: the signals that
query-performance prediction and dynamic weighting of rankers build on (Shtok et al. 2012, ACM TOIS 30(2), for the
spread of scores; Cronen-Townsend et al. 2002, SIGIR, for the idea). BM25 has no fixed scale, so its figures are in
parts of the best score; cosines are taken as they are.

Shapes: P places of the pool.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.fuse import min_max
from rag_lab.kernels.rank import ranks

NEAR, FAR = 10, 100  # ranks at which the rankers' lists are held against each other: what is shown, what is pooled


class Signals(NamedTuple):
    """One query's figures, each finite. A pool without a real place has zeros.

    *_top: the best score. *_gap_2, *_gap_10: from the best to the second and the tenth (or the last, if there are
    fewer). *_spread: the standard deviation over the pool. overlap_*: the share that the rankers' best 10 and best
    100 have in common. agreement: Spearman's rank correlation. *_of_*_best: where one ranker sees the other's best
    passage, from 0, its worst, to 1, its best. matches: the share of the pool that has a word of the query.
    """

    lexical_top: Float[Array, ""]
    lexical_gap_2: Float[Array, ""]
    lexical_gap_10: Float[Array, ""]
    lexical_spread: Float[Array, ""]
    dense_top: Float[Array, ""]
    dense_gap_2: Float[Array, ""]
    dense_gap_10: Float[Array, ""]
    dense_spread: Float[Array, ""]
    overlap_10: Float[Array, ""]
    overlap_100: Float[Array, ""]
    agreement: Float[Array, ""]
    dense_of_lexical_best: Float[Array, ""]
    lexical_of_dense_best: Float[Array, ""]
    matches: Float[Array, ""]


def signals(lexical: Float[Array, " P"], dense: Float[Array, " P"], real: Bool[Array, " P"]) -> Signals:
    """The figures of one query's plain pool."""
    count = real.sum()
    by_words, by_vector = ranks(lexical, real), ranks(dense, real)
    top, lexical_2, lexical_10, spread = _shape(lexical, by_words, real)
    unit = jnp.where(top > 0, top, 1)
    dense_top, dense_2, dense_10, dense_spread = _shape(dense, by_vector, real)
    apart = jnp.where(real, by_words - by_vector, 0).astype(jnp.float32)
    n = jnp.maximum(count, 2).astype(jnp.float32)
    return Signals(
        lexical_top=top,
        lexical_gap_2=lexical_2 / unit,
        lexical_gap_10=lexical_10 / unit,
        lexical_spread=spread / unit,
        dense_top=dense_top,
        dense_gap_2=dense_2,
        dense_gap_10=dense_10,
        dense_spread=dense_spread,
        overlap_10=_overlap(by_words, by_vector, real, NEAR),
        overlap_100=_overlap(by_words, by_vector, real, FAR),
        agreement=jnp.where(count > 1, 1 - 6 * jnp.square(apart).sum() / (n * (jnp.square(n) - 1)), 0),
        dense_of_lexical_best=_at(min_max(dense, real), by_words, real, 1),
        lexical_of_dense_best=_at(min_max(lexical, real), by_vector, real, 1),
        matches=(real & (lexical > 0)).sum() / jnp.maximum(count, 1),
    )


def _at(
    values: Float[Array, " P"], rank: Int[Array, " P"], real: Bool[Array, " P"], wanted: Int[Array, ""] | int
) -> Float[Array, ""]:
    """The value at a rank; 0 where there is none."""
    return jnp.where(real & (rank == wanted), values, 0).sum()


def _shape(
    scores: Float[Array, " P"], rank: Int[Array, " P"], real: Bool[Array, " P"]
) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
    """Best score, gap to the second, gap to the tenth, standard deviation."""
    count = real.sum()
    best, second, tenth = (_at(scores, rank, real, jnp.minimum(count, place)) for place in (1, 2, NEAR))
    mean = jnp.where(real, scores, 0).sum() / jnp.maximum(count, 1)
    variance = jnp.where(real, jnp.square(scores - mean), 0).sum() / jnp.maximum(count, 1)
    return best, best - second, best - tenth, jnp.sqrt(variance)


def _overlap(one: Int[Array, " P"], other: Int[Array, " P"], real: Bool[Array, " P"], depth: int) -> Float[Array, ""]:
    """The share that both rankers' best `depth` have in common."""
    room = jnp.clip(real.sum(), 1, depth)
    return (real & (one <= depth) & (other <= depth)).sum() / room
