"""Which sentences answer a question, for many sets of evidence of many questions at once.

All sentences that any set of a question holds make its pool; relevance is computed for the pool, and every set
masks its own part of it. Pools are padded to few sizes and go through one compiled program in blocks.

Shapes: Q questions of a block, C sets of evidence of a question, P sentences of its pool, N of an answer, W words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.encoder.shelf import Shelf, padded
from rag_lab.kernels import support
from rag_lab.kernels.extract import Taste, choose, relevance
from rag_lab.types import Passage

LEAST_SENTENCES = 32  # of a padded pool; smaller ones compile longer than they save
BLOCK_SENTENCES = 1 << 16  # of all pools of one call: a hundred megabytes of vectors
BLOCK_SHOWN = 1 << 21  # sentences × sets of one call: as much again of intermediate results


class Found(NamedTuple):
    """place: the chosen sentences, in the order of their choice, -1 past the last. answerable: how likely the
    evidence holds an answer at all.
    """

    place: Int[Array | np.ndarray, "*C N"]
    answerable: Float[Array | np.ndarray, "*C"]


class Pool(NamedTuple):
    """One question with all that it is asked of. cases: where its sets stand among all; rows: its sentences on the
    shelf; shown: which of them each set holds.
    """

    question: str
    cases: list[int]
    rows: Int[np.ndarray, " P"]
    shown: Bool[np.ndarray, "C P"]


@partial(jax.jit, static_argnames=("competing", "most"))
def _run(
    taste: Taste,
    head: support.Head,
    questions: support.Sentence,
    pools: support.Sentence,
    tokens: Int[Array, "Q P"],
    shown: Bool[Array, "Q C P"],
    competing: int,
    most: int,
) -> Found:
    """Every set of every question of a block."""

    def one_question(
        question: support.Sentence, pool: support.Sentence, tokens: Int[Array, " P"], shown: Bool[Array, "C P"]
    ) -> Found:
        matched = support.match(question, pool)
        value = relevance(matched, (question.stems > 0).sum(), taste.lexical)

        def one_set(shown: Bool[Array, " P"]) -> Found:
            place = choose(value, shown, pool.vector, tokens, taste, competing, most)
            return Found(place, support.probability(head, support.signs(question, matched, shown)))

        return jax.vmap(one_set)(shown)

    return jax.vmap(one_question)(questions, pools, tokens, shown)


def gather(
    questions: Sequence[str],
    evidence: Sequence[Sequence[Passage]],
    rows: Mapping[Passage, Int[np.ndarray, " n"]],
) -> Iterator[Pool]:
    """One pool for each distinct question, of its cases that have any sentence. rows: of every passage."""
    cases: dict[str, list[int]] = {}
    for case, (question, passages) in enumerate(zip(questions, evidence, strict=True)):
        if any(len(rows[passage]) for passage in passages):
            cases.setdefault(question, []).append(case)
    for question, its in cases.items():
        each = [np.concatenate([rows[passage] for passage in evidence[case]]) for case in its]
        pool = np.unique(np.concatenate(each))
        shown = np.zeros((len(its), len(pool)), bool)
        for number, held in enumerate(each):
            shown[number, np.searchsorted(pool, held)] = True
        yield Pool(question, its, pool, shown)


def judge(
    shelf: Shelf, pools: Iterator[Pool], taste: Taste, head: support.Head, competing: int, most: int
) -> Iterator[tuple[Pool, Found]]:
    """What was found in every pool, places being columns of its `rows`. The last four as the kernels take them."""
    alike: dict[tuple[int, int], list[Pool]] = {}
    for pool in pools:
        sets, held = pool.shown.shape
        alike.setdefault((padded(sets, 1), padded(held, LEAST_SENTENCES)), []).append(pool)
    for (sets, held), every in alike.items():
        room = max(1, min(BLOCK_SENTENCES // held, BLOCK_SHOWN // (sets * held)))
        for start in range(0, len(every), room):
            block = every[start : start + room]
            arrays = _arrays(shelf, block, sets, held)
            found = Found(*map(np.asarray, _run(taste, head, *arrays, competing=competing, most=most)))
            for number, pool in enumerate(block):
                yield pool, Found(*(part[number, : len(pool.cases)] for part in found))


def _arrays(
    shelf: Shelf, block: Sequence[Pool], sets: int, held: int
) -> tuple[support.Sentence, support.Sentence, Int[np.ndarray, "Q P"], Bool[np.ndarray, "Q C P"]]:
    """The program's arguments for a block; its questions are padded by more of the first."""
    questions = padded(len(block), 1)
    rows = np.zeros((questions, held), np.int64)
    shown = np.zeros((questions, sets, held), bool)
    asked = np.zeros(questions, np.int64)
    asked[: len(block)] = shelf.rows(pool.question for pool in block)
    for number, pool in enumerate(block):
        rows[number, : len(pool.rows)] = pool.rows
        shown[number, : len(pool.cases), : len(pool.rows)] = pool.shown
    return shelf.take(asked), shelf.take(rows), shelf.tokens[rows], shown
