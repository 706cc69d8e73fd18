"""Every action scored on every query, once: policies are then replayed over arrays.

For each query and each α of the action set: recall@10, nDCG@10, MRR@10 and cost, in one jitted pass, vmapped
over α and over queries. The candidate pools are kept beside them, so that any ranking can be written out. Baked
collections are kept on disk under the hash of what they were made from.

Shapes: Q queries, A actions, P places of a pool.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.assets import atomic
from rag_lab.kernels.fuse import convex
from rag_lab.kernels.pool import Pool
from rag_lab.kernels.rank import Quality, order, quality
from rag_lab.types import Collection

ALPHAS = np.round(np.arange(11) / 10, 1)  # the action set `alpha`: 0, 0.1 … 1
CUTOFF = 10
VERSION = "2"  # part of the hash: raise it when baking changes its results


class Baked(NamedTuple):
    """One collection's arrays, on the host. Metrics are NaN for a query without a relevant passage."""

    recall: Float[np.ndarray, "Q A"]
    ndcg: Float[np.ndarray, "Q A"]
    mrr: Float[np.ndarray, "Q A"]
    passage: Int[np.ndarray, "Q P"]
    lexical: Float[np.ndarray, "Q P"]
    dense: Float[np.ndarray, "Q P"]
    real: Bool[np.ndarray, "Q P"]


def _one(
    alpha: Float[Array, ""],
    lexical: Float[Array, " P"],
    dense: Float[Array, " P"],
    real: Bool[Array, " P"],
    grades: Int[Array, " P"],
    relevant: Int[Array, ""],
    ideal_dcg: Float[Array, ""],
) -> Quality:
    """One query at one α."""
    return quality(grades[order(convex(lexical, dense, real, alpha), CUTOFF)], relevant, ideal_dcg)


_over_alphas = jax.vmap(_one, in_axes=(0, None, None, None, None, None, None))
_over_queries = jax.jit(jax.vmap(_over_alphas, in_axes=(None, 0, 0, 0, 0, 0, 0)))


def ideal_dcg(grades: list[int]) -> float:
    """DCG@10 of the ideal ranking of a query with these judged grades."""
    best = sorted((grade for grade in grades if grade > 0), reverse=True)[:CUTOFF]
    return float(sum(grade / np.log2(rank + 2) for rank, grade in enumerate(best)))


def score(collection: Collection, pools: Pool) -> Baked:
    """Score all actions on the candidate pools of a collection's queries."""
    passage, lexical, dense, real = pools
    grades = np.zeros(passage.shape, np.int32)
    for row, query in enumerate(collection.queries):
        judged = collection.qrels.get(query.id, {})
        for place in np.flatnonzero(real[row]):
            grades[row, place] = max(judged.get(collection.passages[passage[row, place]].id, 0), 0)
    judgments = [list(collection.qrels.get(query.id, {}).values()) for query in collection.queries]
    relevant = np.array([sum(grade > 0 for grade in each) for each in judgments], np.int32)
    ideal = np.array([ideal_dcg(each) for each in judgments], np.float32)
    results = _over_queries(jnp.asarray(ALPHAS, jnp.float32), lexical, dense, real, grades, relevant, ideal)
    recall, ndcg, mrr = (np.asarray(one) for one in results)
    return Baked(recall, ndcg, mrr, *(np.asarray(one) for one in pools))


def identity(*parts: str) -> str:
    """The name under which baked arrays are kept: a hash of everything that they depend on."""
    return hashlib.sha256("\n".join((VERSION, *parts)).encode()).hexdigest()[:24]


def load(folder: Path, name: str) -> Baked | None:
    """Kept arrays, or None."""
    path = folder / f"{name}.npz"
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return Baked(**{field: arrays[field] for field in Baked._fields})


def keep(folder: Path, name: str, baked: Baked) -> None:
    """Keep arrays under a name, whole or not at all."""
    with atomic.write(folder / f"{name}.npz") as temporary:
        np.savez(temporary, **baked._asdict())


@partial(jax.jit, static_argnames="depth")
def _ranked(
    alphas: Float[Array, " Q"],
    lexical: Float[Array, "Q P"],
    dense: Float[Array, "Q P"],
    real: Bool[Array, "Q P"],
    passage: Int[Array, "Q P"],
    depth: int,
) -> Int[Array, "Q depth"]:
    def one(
        alpha: Float[Array, ""],
        lexical: Float[Array, " P"],
        dense: Float[Array, " P"],
        real: Bool[Array, " P"],
        passage: Int[Array, " P"],
    ) -> Int[Array, " depth"]:
        places = order(convex(lexical, dense, real, alpha), depth)
        return jnp.where(real[places], passage[places], -1)

    return jax.vmap(one)(alphas, lexical, dense, real, passage)


def rankings(baked: Baked, alphas: Float[np.ndarray, " Q"], depth: int) -> Int[np.ndarray, "Q K"]:
    """Corpus positions of each query's best passages at its own α, best first; -1 past the end of its pool.

    K = min(depth, places of a pool).
    """
    return np.asarray(
        _ranked(jnp.asarray(alphas, jnp.float32), baked.lexical, baked.dense, baked.real, baked.passage, depth)
    )
