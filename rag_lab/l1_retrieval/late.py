"""Late-interaction scores of every pooled passage: MaxSim over the last layer's token vectors of MiniLM.

Token vectors are far too many to keep: a passage's are computed once, held against those of all queries whose
pools it is in, and forgotten. What stays is one score for each pair, kept on disk by content. MiniLM is used
whatever the encoder stage is, because an encoder may give no token vectors (precomputed ones, say). All tokens
count, [CLS] and [SEP] too, as in ColBERT.

Shapes: Q queries, P places of a pool, B passages of a batch, T padded tokens, D dimensions, R rows of K pairs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.assets import vectors
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.pairs import PairStore
from rag_lab.assets.wheels import MINILM
from rag_lab.encoder import minilm, wordpiece
from rag_lab.kernels.late import maxsim, unit
from rag_lab.kernels.pool import Pool
from rag_lab.kernels.transformer import Transformer, states
from rag_lab.types import Collection, ProgressFactory

MAX_TOKENS = 256  # the protocol's
BATCH_TOKENS = 2048  # as conf/encoder/minilm.yaml: on two CPU cores more is not quicker
VERSION = 1  # of the scores: raise it when they change
SEGMENT_PASSAGES = 512  # passages per kept segment: the most that an interruption can lose
ROWS, SLOTS = 16, 16  # rows scored at once, and pairs of one passage in a row; unfilled ones are wasted work
QUERY_LENGTHS = (16, 32, 64, 128, 256)  # padded lengths of queries
IDENTITY = f"maxsim-minilm-{MINILM.sha256[:12]}-v{VERSION}-t{MAX_TOKENS}"


@jax.jit
def _tokens(weights: Transformer, ids: Int[Array, "B T"], real: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
    """Unit vectors of all tokens of a batch."""
    forward = partial(states, heads=minilm.HEADS, epsilon=minilm.EPSILON)
    return jax.vmap(lambda ids, real: unit(forward(weights, ids, real)))(ids, real)


@partial(jax.jit, static_argnames="length")
def _score(
    queries: Float[Array, "M D"],
    passages: Float[Array, "B T D"],
    real: Bool[Array, "B T"],
    passage: Int[Array, " R"],
    start: Int[Array, "R K"],
    tokens: Int[Array, "R K"],
    length: int,
) -> Float[Array, "R K"]:
    """MaxSim of K queries with each row's passage. A query's tokens lie at start:start + tokens."""

    def row(one: tuple[Array, Array, Array]) -> Float[Array, " K"]:
        passage, start, tokens = one
        asked = jnp.arange(length) < tokens[:, None]
        taken = jax.vmap(lambda at: jax.lax.dynamic_slice_in_dim(queries, at, length))(start)
        return jax.vmap(maxsim, in_axes=(0, 0, None, None))(taken, asked, passages[passage], real[passage])

    return jax.lax.map(row, (passage, start, tokens))  # one after another: a row is work enough for a processor


class _Queries(NamedTuple):
    """All queries' token vectors, end to end, with as much padding at the end as the longest has tokens."""

    vectors: Float[Array, "M D"]
    start: Int[np.ndarray, " Q"]
    tokens: Int[np.ndarray, " Q"]


class MiniLM:
    """The token encoder, its weights read when the first text comes."""

    def __init__(self, progress: ProgressFactory) -> None:
        self._weights = minilm.weights(progress)
        self._tokenizer = wordpiece.load(MAX_TOKENS, progress)

    def encode(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[list[int], Float[Array, "B T D"], Bool[np.ndarray, "B T"]]]:
        """Batches of texts of one padded length: their numbers, token vectors, and which tokens are real."""
        ids: list[Any] = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        for length, numbers in minilm.batches([len(one) for one in ids], BATCH_TOKENS):
            batch = minilm.pad([ids[number] for number in numbers], max(1, BATCH_TOKENS // length), length)
            yield numbers, _tokens(self._weights, batch.ids, batch.real), batch.real

    def queries(self, texts: Sequence[str]) -> _Queries:
        """Every query's token vectors."""
        found: list[Any] = [None] * len(texts)
        for numbers, batch, real in self.encode(texts):
            for number, one, own in zip(numbers, np.asarray(batch), real, strict=False):
                found[number] = one[own]
        tokens = np.array([len(one) for one in found], np.int32)
        start = np.concatenate([[0], np.cumsum(tokens)[:-1]]).astype(np.int32)
        padding = np.zeros((QUERY_LENGTHS[-1], minilm.DIMENSIONS), np.float32)
        return _Queries(jnp.asarray(np.concatenate([*found, padding])), start, tokens)


def score(
    collection: Collection, pools: Sequence[Pool], progress: ProgressFactory
) -> list[Float[np.ndarray, "Q P"]]:
    """Each pool's scores, NaN where a place is padding; kept pairs are read, the others computed."""
    asked = [query.text for query in collection.queries]
    keys = [vectors.key(passage.indexed_text) for passage in collection.passages]
    first: dict[bytes, int] = {}
    same = np.array([first.setdefault(key, row) for row, key in enumerate(keys)])  # equal texts are one passage
    store = PairStore(
        cache_folder() / "late", f"{IDENTITY}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:24]}"
    )
    codes = [same[pool.passage] * len(asked) + np.arange(len(asked))[:, None] for pool in pools]
    wanted = np.unique(np.concatenate([code[pool.real] for code, pool in zip(codes, pools, strict=True)]))
    known, found = _known(store, first, len(asked))
    missing = np.setdiff1d(wanted, known, assume_unique=True)
    if len(missing):
        _compute(collection, missing, keys, asked, store, progress)
        known, found = _known(store, first, len(asked))
    places = [
        np.searchsorted(known, np.where(pool.real, code, wanted[0]))
        for code, pool in zip(codes, pools, strict=True)
    ]
    return [np.where(pool.real, found[place], np.nan) for place, pool in zip(places, pools, strict=True)]


def _known(
    store: PairStore, row_of: dict[bytes, int], queries: int
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """The kept pairs of this corpus, as passage · Q + query in ascending order, and their scores."""
    codes, scores = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for segment in store.read():
        rows = np.array([row_of.get(key, -1) for key in segment.passages()])[segment.place]
        codes.append((rows * queries + segment.query)[rows >= 0])
        scores.append(segment.score[rows >= 0])
    code, at = np.unique(np.concatenate(codes), return_index=True)
    return code, np.concatenate(scores)[at]


def _compute(
    collection: Collection,
    missing: Int[np.ndarray, " n"],
    keys: Sequence[bytes],
    asked: Sequence[str],
    store: PairStore,
    progress: ProgressFactory,
) -> None:
    """Score the missing pairs, passage · Q + query in ascending order, and keep them segment by segment."""
    rows, starts = np.unique(missing // len(asked), return_index=True)
    ends = np.append(starts[1:], len(missing))
    with progress(f"compare tokens {collection.domain}", len(rows), "passages") as bar:
        model = MiniLM(progress)
        queries = model.queries(asked)
        done: list[tuple[list[bytes], Any, Any, Any]] = []

        def keep() -> None:
            if done:
                named, query, score = [
                    [key for one in done for key in one[0]],
                    *(np.concatenate([one[part] for one in done]) for part in (2, 3)),
                ]
                store.add(named, np.concatenate([one[1] for one in done]), query, score)
                done.clear()

        try:
            for numbers, passages, real in model.encode([collection.passages[row].indexed_text for row in rows]):
                which = np.repeat(np.arange(len(numbers)), [ends[number] - starts[number] for number in numbers])
                query = np.concatenate([missing[starts[number] : ends[number]] % len(asked) for number in numbers])
                scores = _pairs(queries, passages, real, which, query)
                done.append(
                    (
                        [keys[rows[number]] for number in numbers],
                        which + sum(len(one[0]) for one in done),
                        query,
                        scores,
                    )
                )
                bar.advance(len(numbers))
                if sum(len(one[0]) for one in done) >= SEGMENT_PASSAGES:
                    keep()
        finally:  # an interruption keeps what is finished
            keep()


def _pairs(
    queries: _Queries,
    passages: Float[Array, "B T D"],
    real: Bool[np.ndarray, "B T"],
    which: Int[np.ndarray, " n"],
    query: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """MaxSim of each pair; which: its passage in the batch, ascending."""
    out = np.empty(len(which), np.float32)
    length = np.array(QUERY_LENGTHS)[np.searchsorted(QUERY_LENGTHS, queries.tokens[query])]
    for padded in np.unique(length):
        own = np.flatnonzero(length == padded)
        new = np.flatnonzero(np.diff(which[own], prepend=-1))  # where the next passage's pairs begin
        sizes = np.diff(np.append(new, len(own)))
        nth = np.arange(len(own)) - np.repeat(new, sizes)
        before = np.concatenate([[0], np.cumsum(-(-sizes // SLOTS))])
        row, slot = np.repeat(before[:-1], sizes) + nth // SLOTS, nth % SLOTS
        shape = (-(-before[-1] // ROWS) * ROWS, SLOTS)
        passage, start, tokens = np.zeros(shape[0], np.int32), np.zeros(shape, np.int32), np.zeros(shape, np.int32)
        passage[row], start[row, slot], tokens[row, slot] = (
            which[own],
            queries.start[query[own]],
            queries.tokens[query[own]],
        )
        found = [
            np.asarray(
                _score(
                    queries.vectors,
                    passages,
                    real,
                    passage[at : at + ROWS],
                    start[at : at + ROWS],
                    tokens[at : at + ROWS],
                    int(padded),
                )
            )
            for at in range(0, shape[0], ROWS)
        ]
        out[own] = np.concatenate(found)[row, slot]
    return out
