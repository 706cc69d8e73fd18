"""One action's scores of one query's candidates: who takes part, how the rankers are fused, what late brings.

Shapes: P places of the pool.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.fuse import convex, mix, reciprocal_rank
from rag_lab.kernels.rank import ranks


class Action(NamedTuple):
    """How the candidates are scored. by_rank: reciprocal rank fusion instead of a convex combination."""

    alpha: Float[Array, ""]
    by_rank: Bool[Array, ""]
    late: Float[Array, ""]
    depth: Int[Array, ""]


class Candidates(NamedTuple):
    """One query's pool with all that any action asks of it. Ranks start at 1."""

    lexical: Float[Array, " P"]
    dense: Float[Array, " P"]
    late: Float[Array, " P"]
    real: Bool[Array, " P"]
    lexical_rank: Int[Array, " P"]
    dense_rank: Int[Array, " P"]


def ranked(
    lexical: Float[Array, " P"], dense: Float[Array, " P"], late: Float[Array, " P"], real: Bool[Array, " P"]
) -> Candidates:
    """The candidates with their ranks by either ranker."""
    return Candidates(lexical, dense, late, real, ranks(lexical, real), ranks(dense, real))


def scores(action: Action, pool: Candidates, k: Float[Array, ""]) -> Float[Array, " P"]:
    """The final score of every place; −inf where it is padding or outside the action's depth.

    k: of reciprocal rank fusion. Everything is normalised over the places that take part.
    """
    part = pool.real & ((pool.lexical_rank <= action.depth) | (pool.dense_rank <= action.depth))
    fused = jnp.where(
        action.by_rank,
        reciprocal_rank(pool.lexical_rank, pool.dense_rank, part, action.alpha, k),
        convex(pool.lexical, pool.dense, part, action.alpha),
    )
    return mix(fused, pool.late, part, action.late)
