"""Ranking metrics of one query from the grades of its ranked candidates.

Relevant means grade > 0. nDCG uses the grade as gain and a log2 discount (Järvelin and Kekäläinen 2002, ACM
TOIS 20(4), in trec_eval's form); the ideal is over all judged passages of the query, found or not.

Shapes: P candidates, K the cut-off.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Quality(NamedTuple):
    """One ranking's metrics at cut-off K, each in [0, 1]. found: which ranks hold a relevant passage, as bits; rank 1
    is bit 0."""

    recall: Float[Array, ""]
    ndcg: Float[Array, ""]
    mrr: Float[Array, ""]
    found: Int[Array, ""]


def order(scores: Float[Array, " P"], k: int) -> Int[Array, " K"]:
    """Places of the `k` best scores, best first; ties by place, which is corpus order."""
    return jax.lax.top_k(scores, min(k, scores.shape[0]))[1]


def ranks(scores: Float[Array, " P"], real: Bool[Array, " P"]) -> Int[Array, " P"]:
    """The rank of every real place, from 1; ties by place. Padding comes after all of them."""
    best_first = jnp.argsort(jnp.where(real, -scores, jnp.inf), stable=True)
    return jnp.argsort(best_first).astype(jnp.int32) + 1


def quality(grades: Int[Array, " K"], relevant: Int[Array, ""], ideal_dcg: Float[Array, ""]) -> Quality:
    """Metrics of the first K ranks.

    grades: grade at each rank, 0 where unjudged or padding; relevant: how many passages are relevant to the
    query at all; ideal_dcg: DCG@K of the ideal ranking; K is at most 31. A query without a relevant passage has no
    metrics: NaN.
    """
    found = grades > 0
    discount = 1 / jnp.log2(jnp.arange(grades.shape[0]) + 2.0)
    gain = jnp.where(found, grades, 0)
    reciprocal = jnp.where(found, 1 / (jnp.arange(grades.shape[0]) + 1.0), 0).max()
    judged = relevant > 0
    return Quality(
        recall=jnp.where(judged, found.sum() / jnp.maximum(relevant, 1), jnp.nan),
        ndcg=jnp.where(judged, (gain * discount).sum() / jnp.where(judged, ideal_dcg, 1), jnp.nan),
        mrr=jnp.where(judged, reciprocal, jnp.nan),
        found=(found.astype(jnp.int32) << jnp.arange(grades.shape[0])).sum(),
    )
