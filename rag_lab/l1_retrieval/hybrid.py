"""Hybrid retrieval: for each query the pool of BM25's and the vectors' best, every member with both scores.

What α does with the two scores is the policy's business: the pool is the same for every α.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field

from rag_lab.kernels.pool import Pool, pool
from rag_lab.kernels.similarity import similarity
from rag_lab.l1_retrieval import lexical
from rag_lab.types import Collection, ProgressFactory

BLOCK_QUERIES = 128  # queries scored at once: bounds memory at block × passages × 8 bytes


@partial(jax.jit, static_argnames="size")
def _pools(
    words: Float[Array, "queries passages"],
    vectors: Float[Array, "queries dimensions"],
    corpus: Float[Array, "passages dimensions"],
    size: int,
) -> Pool:
    """The pool of each query of a block."""
    return jax.vmap(lambda word, vector: pool(word, similarity(vector, corpus), size))(words, vectors)


class Hybrid(NamedTuple):
    """The retriever stage. `size`: how many passages each ranker brings to the pool."""

    size: int
    k1: float
    b: float

    def candidates(
        self,
        collection: Collection,
        passage_vectors: Float[np.ndarray, "passages dimensions"],
        query_vectors: Float[np.ndarray, "queries dimensions"],
        progress: ProgressFactory,
    ) -> Pool:
        """The pools of all queries of a collection: arrays [queries, 2·size] on the host."""
        score = lexical.index([passage.indexed_text for passage in collection.passages], k1=self.k1, b=self.b)
        texts = [query.text for query in collection.queries]
        corpus = jnp.asarray(passage_vectors)
        blocks = []
        with progress(f"search {collection.domain}", len(texts), "queries") as bar:
            for start in range(0, len(texts), BLOCK_QUERIES):
                part = slice(start, start + BLOCK_QUERIES)
                count = len(texts[part])
                padding = ((0, BLOCK_QUERIES - count), (0, 0))  # one shape, one compilation
                words = np.pad(score(texts[part]), padding)
                vectors = np.pad(query_vectors[part], padding)
                blocks.append(
                    jax.tree.map(lambda x, n=count: np.asarray(x)[:n], _pools(words, vectors, corpus, self.size))
                )
                bar.advance(count)
        return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def build(
    *,
    pool: Annotated[int, Field(ge=1)],
    k1: Annotated[float, Field(ge=0)],
    b: Annotated[float, Field(ge=0, le=1)],
) -> Hybrid:
    """The retriever. pool: passages each ranker brings; k1, b: BM25's saturation and length normalisation."""
    return Hybrid(pool, k1, b)
