"""Answers to every query under every action, graded once: routers and rewards are then replayed over arrays.

An action shows a query some passages; many actions show the same ones, so each distinct set of evidence of a query
is answered and graded once. Queries go in blocks, and every finished block is kept on disk under the hash of what
it was made from: an interrupted bake goes on where it stopped. Money is left to the caller: arrays hold tokens and
calls, so that any price table can be put to them.

Shapes: Q queries, A actions, K most passages of an action, D dimensions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.assets import atomic
from rag_lab.encoder.shelf import Shelf, padded
from rag_lab.l3_answer.generator import Generator
from rag_lab.l3_answer.shown import diversity
from rag_lab.metrics import answer as metrics
from rag_lab.metrics.answer import Asked, Grades, Quality
from rag_lab.types import Answer, Collection, Passage, ProgressFactory, Query

VERSION = "1"  # part of the hash: raise it when the results change
BLOCK = 64  # queries answered and graded together; the most that an interruption can lose
SETS = 1024  # lists whose diversity is computed together: 25 megabytes of vectors where a list has 16 places

Evidence = tuple[Passage, ...]


class Scored(NamedTuple):
    """Of every query and action; NaN where there is nothing to measure.

    The first nine are those of `metrics.answer.Grades`. diversity: intra-list, of the passages shown. tokens_in,
    tokens_out, calls: what the answer took. confidence: the generator's own. said [Q]: distinct sentences of the
    query's answers as a share of all (`metrics.answer.diversity`).
    """

    groundedness: Float[np.ndarray, "Q A"]
    coverage: Float[np.ndarray, "Q A"]
    citation_recall: Float[np.ndarray, "Q A"]
    citation_precision: Float[np.ndarray, "Q A"]
    readability: Float[np.ndarray, "Q A"]
    judged_support: Float[np.ndarray, "Q A"]
    refused: Float[np.ndarray, "Q A"]
    refusal_correct: Float[np.ndarray, "Q A"]
    quality: Float[np.ndarray, "Q A"]
    diversity: Float[np.ndarray, "Q A"]
    tokens_in: Float[np.ndarray, "Q A"]
    tokens_out: Float[np.ndarray, "Q A"]
    calls: Float[np.ndarray, "Q A"]
    confidence: Float[np.ndarray, "Q A"]
    said: Float[np.ndarray, " Q"]


class Desk(NamedTuple):
    """What answers and grades. vectors: of the collection's passages, for the diversity of what is shown;
    identity: of the generator's settings, the judgment's and the encoder's: changes whenever the results would.
    """

    generator: Generator
    quality: Quality
    shelf: Shelf
    identity: str
    vectors: Float[np.ndarray, "passages D"]


def grades(scored: Scored) -> Grades:
    """The grades of every query and action, as rows of one table."""
    return Grades(*(getattr(scored, name).ravel() for name in Grades._fields))


class _Case(NamedTuple):
    """One query: what its answers are held against (no evidence yet), and what each action shows for it."""

    asked: Asked
    shown: tuple[Evidence, ...]


def score(
    collection: Collection,
    queries: Sequence[Query],
    evidence: Sequence[Sequence[Evidence]],
    desk: Desk,
    folder: Path,
    progress: ProgressFactory,
) -> Scored:
    """Answer and grade every query (of the collection, answerable or not) under every action.

    evidence: for each query, what each action shows, best first; cut passages keep their ids. folder: where
    finished blocks are kept.
    """
    places = {passage.id: place for place, passage in enumerate(collection.passages)}
    cases = [
        _Case(_asked(collection, places, query), tuple(shown)) for query, shown in zip(queries, evidence, strict=True)
    ]
    blocks = []
    with progress(f"answer {collection.domain}", len(cases), "queries") as bar:
        for start in range(0, len(cases), BLOCK):
            part = cases[start : start + BLOCK]
            path = folder / f"{_name(desk.identity, part)}.npz"
            block = _load(path)
            if block is None:
                block = _answered(part, desk, places)
                with atomic.write(path) as temporary:
                    np.savez(temporary, **block._asdict())
            blocks.append(block)
            bar.advance(len(part))
    return Scored(*(np.concatenate(each) for each in zip(*blocks, strict=True)))


def _asked(collection: Collection, places: Mapping[str, int], query: Query) -> Asked:
    relevant = sorted(one for one, grade in collection.qrels.get(query.id, {}).items() if grade > 0)
    passages = tuple(collection.passages[places[one]] for one in relevant)
    return Asked(query.text, (), query.answer, query not in collection.unanswerable, passages)


def _answered(cases: Sequence[_Case], desk: Desk, places: Mapping[str, int]) -> Scored:
    """A block's results. Each distinct set of evidence of a query is answered once."""
    asked: list[Asked] = []
    index = []
    for case in cases:
        own: dict[Evidence | frozenset[Passage], int] = {}
        row = []
        for shown in case.shown:
            row.append(own.setdefault(shown if desk.generator.order_matters else frozenset(shown), len(asked)))
            if row[-1] == len(asked):
                asked.append(case.asked._replace(evidence=shown))
        index.append(row)
    answers = desk.generator.answer_all([one.question for one in asked], [one.evidence for one in asked])
    grades = metrics.grade(desk.quality, desk.shelf, asked, answers)
    diversity = _diversity([one.evidence for one in asked], desk.vectors, places)
    said = [metrics.diversity([answers[one] for one in dict.fromkeys(row)]) for row in index]
    columns = [*grades, diversity, *np.array([_taken(answer) for answer in answers]).T]
    return Scored(*[*(column[np.array(index)] for column in columns), np.array(said)])


def _taken(answer: Answer) -> list[float]:
    """Tokens in, tokens out, calls, confidence; NaN where the generator says nothing of it."""
    usage, nan = answer.usage, float("nan")
    taken = [nan] * 3 if usage is None else [usage.tokens_in, usage.tokens_out, usage.calls]
    return [*taken, nan if answer.confidence is None else answer.confidence]


def _diversity(
    shown: Sequence[Evidence], vectors: Float[np.ndarray, "passages D"], places: Mapping[str, int]
) -> Float[np.ndarray, " sets"]:
    """Intra-list diversity of every set, by the vectors of its passages as they were before any cut."""
    width, found = padded(max(map(len, shown)), 1), []
    for start in range(0, len(shown), SETS):
        part = shown[start : start + SETS]
        place, real = np.zeros((SETS, width), np.int64), np.zeros((SETS, width), bool)
        for row, passages in enumerate(part):
            place[row, : len(passages)] = [places[passage.id] for passage in passages]
            real[row, : len(passages)] = True
        found.append(np.asarray(diversity(vectors[place], real))[: len(part)])
    return np.concatenate(found)


def _name(identity: str, cases: Sequence[_Case]) -> str:
    """The hash of everything that a block's results depend on."""
    digest = hashlib.sha256(repr((VERSION, identity)).encode())
    for asked, shown in cases:
        question = asked.question, asked.reference, asked.answerable, [*map(_digest, asked.relevant)]
        digest.update(repr((question, [[*map(_digest, passages)] for passages in shown])).encode())
    return digest.hexdigest()[:24]


@cache
def _digest(passage: Passage) -> str:
    return hashlib.sha256(repr(passage[:3]).encode()).hexdigest()[:24]


def _load(path: Path) -> Scored | None:
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return Scored(**{field: arrays[field] for field in Scored._fields})
