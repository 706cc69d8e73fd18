"""The live index of one collection: from a query's text, vector and α to its best passages.

The same BM25, the same exact cosine, the same pool and fusion as in `hybrid`, in one compiled program; lexical
scores come from the host, the passages' vectors stay on the device.

Shapes: Q queries (padded to a power of two), N passages, D dimensions, K passages shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.kernels.fuse import convex
from rag_lab.kernels.pool import pool
from rag_lab.kernels.rank import order
from rag_lab.kernels.similarity import similarity
from rag_lab.l1_retrieval import lexical
from rag_lab.l1_retrieval.hybrid import Hybrid
from rag_lab.types import Collection


class Hits(NamedTuple):
    """The best passages of each query, best first: places in the corpus (-1 past the pool's end), fused scores."""

    passage: Int[np.ndarray, "Q K"]
    score: Float[np.ndarray, "Q K"]


@partial(jax.jit, static_argnames=("size", "shown"))
def _search(
    words: Float[Array, "Q N"],
    vectors: Float[Array, "Q D"],
    alphas: Float[Array, " Q"],
    corpus: Float[Array, "N D"],
    size: int,
    shown: int,
) -> tuple[Int[Array, "Q K"], Float[Array, "Q K"]]:
    def one(
        words: Float[Array, " N"], vector: Float[Array, " D"], alpha: Float[Array, ""]
    ) -> tuple[Int[Array, " K"], Float[Array, " K"]]:
        found = pool(words, similarity(vector, corpus), size)
        fused = convex(found.lexical, found.dense, found.real, alpha)
        places = order(fused, shown)
        return jnp.where(found.real[places], found.passage[places], -1), fused[places]

    return jax.vmap(one)(words, vectors, alphas)


class Index:
    """One collection, searchable. Not for use by several threads at once."""

    def __init__(self, retriever: Hybrid, collection: Collection, vectors: Float[np.ndarray, "N D"]) -> None:
        self.retriever, self.collection = retriever, collection
        texts = [passage.indexed_text for passage in collection.passages]
        self._words = lexical.index(texts, k1=retriever.k1, b=retriever.b)
        self._corpus = jax.device_put(jnp.asarray(vectors))

    def search(
        self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"], alphas: Float[np.ndarray, " Q"], shown: int
    ) -> Hits:
        """The best `shown` passages of each query at its own α."""
        count = len(texts)
        rows = 1 << (count - 1).bit_length()
        words = np.zeros((rows, len(self.collection.passages)), np.float32)
        words[:count] = self._words(texts)
        fill = ((0, rows - count), (0, 0))
        found = _search(
            words,
            np.pad(vectors, fill),
            np.pad(np.asarray(alphas, np.float32), fill[0]),
            self._corpus,
            self.retriever.size,
            shown,
        )
        return Hits(*(np.asarray(one)[:count] for one in found))
