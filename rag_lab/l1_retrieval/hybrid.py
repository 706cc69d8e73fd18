"""Hybrid retrieval: for each query the pool of BM25's and the vectors' best, every member with both scores.

What α does with the two scores is the policy's business: the pool is the same for every α. An expansion asks a
second time, by what the first round brought up (`l1_retrieval.actions` defines both), and has a pool of its own.

Shapes: Q queries, N passages, D dimensions, E passages of evidence, P places of a pool.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Annotated, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import Field

from rag_lab.kernels.expand import rocchio
from rag_lab.kernels.fuse import convex
from rag_lab.kernels.pool import Pool, pool
from rag_lab.kernels.rank import order
from rag_lab.kernels.similarity import similarity
from rag_lab.l1_retrieval import lexical, rm3
from rag_lab.types import Collection, ProgressFactory

BLOCK_QUERIES = 128  # queries scored at once: bounds memory at block × passages × 8 bytes
FIRST_ROUND = 0.5  # its α: the balanced start, which favours neither ranker


class Feedback(NamedTuple):
    """How expansions read the first round; see conf/retriever/hybrid.yaml."""

    evidence: Annotated[int, Field(ge=1)]
    rocchio: Annotated[float, Field(ge=0)]
    terms: Annotated[int, Field(ge=1)]
    original: Annotated[float, Field(ge=0, le=1)]


class Evidence(NamedTuple):
    """The first round's best passages of each query, best first, and their fused scores. real: False where the
    pool is smaller than that; the score is 0 there."""

    passage: Int[np.ndarray, "Q E"]
    score: Float[np.ndarray, "Q E"]
    real: Bool[np.ndarray, "Q E"]


@partial(jax.jit, static_argnames="size")
def _pools(
    words: Float[Array, "queries passages"],
    vectors: Float[Array, "queries dimensions"],
    corpus: Float[Array, "passages dimensions"],
    size: int,
) -> Pool:
    """The pool of each query of a block."""
    return jax.vmap(lambda word, vector: pool(word, similarity(vector, corpus), size))(words, vectors)


@partial(jax.jit, static_argnames="count")
def _evidence(first: Pool, count: int) -> tuple[Int[Array, "Q E"], Float[Array, "Q E"], Bool[Array, "Q E"]]:
    def one(
        passage: Int[Array, " P"], lexical: Float[Array, " P"], dense: Float[Array, " P"], real: Bool[Array, " P"]
    ) -> tuple[Int[Array, " E"], Float[Array, " E"], Bool[Array, " E"]]:
        fused = convex(lexical, dense, real, jnp.float32(FIRST_ROUND))
        places = order(fused, count)
        return passage[places], jnp.where(real[places], fused[places], 0), real[places]

    return jax.vmap(one)(*first)


_moved = jax.jit(
    lambda vectors, corpus, passage, real, weight: jax.vmap(rocchio, in_axes=(0, 0, 0, None))(
        vectors, corpus[passage], real, weight
    )
)


class Search:
    """One collection's two rankers, asked for all its queries at once. The index is built when first needed."""

    def __init__(
        self,
        retriever: Hybrid,
        collection: Collection,
        vectors: Callable[[], tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "Q D"]]],
        progress: ProgressFactory,
    ) -> None:
        self.retriever, self.collection = retriever, collection
        self.texts = [query.text for query in collection.queries]
        self._read, self._progress = vectors, progress

    @cached_property
    def words(self) -> lexical.Lexical:
        """The collection's BM25."""
        texts = [passage.indexed_text for passage in self.collection.passages]
        return lexical.index(texts, k1=self.retriever.k1, b=self.retriever.b)

    @cached_property
    def vectors(self) -> tuple[Array, Float[np.ndarray, "Q D"]]:
        """The passages' vectors, on the device, and the queries'."""
        passages, queries = self._read()
        return jnp.asarray(passages), queries

    def pools(self, expansion: str, first: Pool | None) -> Pool:
        """The pools of all queries, arrays [Q, 2·size] on the host. first: the plain ones, for an expansion."""
        if first is None or expansion == "none":
            return self._search("search", lambda part: self.words(self.texts[part]), self.vectors[1])
        return {"rocchio": self._by_vectors, "rm3": self._by_words}[expansion](self.evidence(first))

    def evidence(self, first: Pool) -> Evidence:
        """The best passages of the first round."""
        return Evidence(*(np.asarray(one) for one in _evidence(first, self.retriever.feedback.evidence)))

    def _by_vectors(self, evidence: Evidence) -> Pool:
        corpus, queries = self.vectors
        moved = np.concatenate(
            [
                np.asarray(_moved(queries[part], corpus, evidence.passage[part], evidence.real[part], weight))
                for weight in [np.float32(self.retriever.feedback.rocchio)]
                for part in _parts(len(queries))
            ]
        )
        return self._search("search by rocchio", lambda part: self.words(self.texts[part]), moved)

    def _by_words(self, evidence: Evidence) -> Pool:
        feedback = self.retriever.feedback
        longer = [
            rm3.expand(
                query, passage[real], score[real].astype(np.float64), self.words.bags,
                terms=feedback.terms, original=feedback.original,
            )
            for query, passage, score, real in zip(self.words.known(self.texts), *evidence, strict=True)
        ]  # fmt: skip
        return self._search("search by rm3", lambda part: self.words.weighted(longer[part]), self.vectors[1])

    def _search(
        self, what: str, words: Callable[[slice], Float[np.ndarray, "block N"]], vectors: Float[np.ndarray, "Q D"]
    ) -> Pool:
        """The pools of all queries, block by block."""
        corpus, blocks = self.vectors[0], []
        with self._progress(f"{what} {self.collection.domain}", len(vectors), "queries") as bar:
            for part in _parts(len(vectors)):
                count = len(vectors[part])
                padding = ((0, BLOCK_QUERIES - count), (0, 0))  # one shape, one compilation
                found = _pools(
                    np.pad(words(part), padding), np.pad(vectors[part], padding), corpus, self.retriever.size
                )
                blocks.append(jax.tree.map(lambda x, n=count: np.asarray(x)[:n], found))
                bar.advance(count)
        return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)


def _parts(queries: int) -> list[slice]:
    return [slice(start, start + BLOCK_QUERIES) for start in range(0, queries, BLOCK_QUERIES)]


class Hybrid(NamedTuple):
    """The retriever stage. size: how many passages each ranker brings to the pool; the rest as for `build`."""

    size: int
    k1: float
    b: float
    feedback: Feedback
    rank_constant: float
    late: Literal["minilm", "none"]

    def basis(self, expansion: str) -> str:
        """All settings that the pools of an expansion depend on."""
        own = {"none": (), "rocchio": ("rocchio",), "rm3": ("terms", "original")}[expansion]
        shared = ("evidence",) * bool(own)
        return repr((expansion, self.size, self.k1, self.b, *(getattr(self.feedback, one) for one in (*shared, *own))))

    def candidates(
        self,
        collection: Collection,
        passage_vectors: Float[np.ndarray, "passages dimensions"],
        query_vectors: Float[np.ndarray, "queries dimensions"],
        progress: ProgressFactory,
    ) -> Pool:
        """The plain pools of all queries of a collection: arrays [queries, 2·size] on the host."""
        return Search(self, collection, lambda: (passage_vectors, query_vectors), progress).pools("none", None)


def build(
    *,
    pool: Annotated[int, Field(ge=1)],
    k1: Annotated[float, Field(ge=0)],
    b: Annotated[float, Field(ge=0, le=1)],
    feedback: Feedback,
    rank_constant: Annotated[float, Field(ge=0)],
    late: Literal["minilm", "none"],
) -> Hybrid:
    """The retriever.

    pool: passages each ranker brings; k1, b: BM25's saturation and length normalisation; feedback: how expansions
    read the first round; rank_constant: k of reciprocal rank fusion; late: whose token vectors late interaction
    compares.
    """
    return Hybrid(pool, k1, b, feedback, rank_constant, late)
