"""Reference answers beside their own evidence and beside what does not support them: what a check of support must
tell apart.

right     an answer with passages judged relevant to its question
wrong     the same answer with those of another question of its domain, drawn at random
near      … with those of the question of its domain that is most like its own
swapped   the sentence of the answer in which one name or number was exchanged, with its own evidence
negated   the sentence that was said the other way round, with its own evidence
quoted    a sentence of the own evidence, drawn at random: what a model that copies says
misquoted the same with one name or number exchanged

Only questions with an answer of content words and a relevant passage take part; another question's evidence shares
no passage with the own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Shelf
from rag_lab.experiment import corruptions
from rag_lab.metrics import support
from rag_lab.types import Collection, Passage, Query

KINDS = ("right", "wrong", "near", "swapped", "negated", "quoted", "misquoted")
TRUE = ("right", "quoted")
# What each false kind is told apart from: the same answers, or quotations, as they were.
BESIDE = {"wrong": "right", "near": "right", "swapped": "right", "negated": "right", "misquoted": "quoted"}


class Grounds(NamedTuple):
    """The signs of every claim of one domain. kind: the place in KINDS; query: whose answer the claim is of."""

    queries: tuple[Query, ...]
    signs: Float[np.ndarray, "N G"]
    kind: Int[np.ndarray, " N"]
    query: Int[np.ndarray, " N"]

    def of(self, kind: str, chosen: Bool[np.ndarray, " queries"]) -> Bool[np.ndarray, " N"]:
        """Which claims are of this kind and of the chosen queries."""
        return (self.kind == KINDS.index(kind)) & chosen[self.query]


def collect(collection: Collection, shelf: Shelf, passages: int, most: int, random: np.random.Generator) -> Grounds:
    """The grounds of a domain: at most `most` questions, drawn at random, each with at most `passages` of
    evidence, the best judged ones.
    """
    held = {passage.id: passage for passage in collection.passages}
    relevant = {query.id: _relevant(collection, held, query) for query in collection.queries}
    able = [query for query in collection.queries if relevant[query.id] and _content(query)]
    queries = tuple(able[place] for place in sorted(random.permutation(len(able))[:most]))
    evidence = [relevant[query.id][:passages] for query in queries]
    answers = [query.answer or "" for query in queries]
    wrong, near = _others(queries, [set(relevant[query.id]) for query in queries], shelf, random)
    offered, own = corruptions.offers(answers), range(len(queries))
    quoted = [_quoted(each, random) for each in evidence]
    quotable = corruptions.offers(passage.text for each in evidence for passage in each)
    beside: dict[str, tuple[Sequence[str | None], Sequence[int | None]]] = {
        "right": (answers, own),
        "wrong": (answers, wrong),
        "near": (answers, near),
        "swapped": ([corruptions.swapped(answer, offered, random) for answer in answers], own),
        "negated": ([corruptions.negated(answer) for answer in answers], own),
        "quoted": (quoted, own),
        "misquoted": ([one and corruptions.swapped(one, quotable, random) for one in quoted], own),
    }
    shown = list(dict.fromkeys(passage for each in evidence for passage in each))
    rows = dict(zip(shown, shelf.passages(shown), strict=True))
    cases = [
        (support.claim(queries[query].text, sentence), other, KINDS.index(kind), query)
        for kind, (said, others) in beside.items()
        for query, (text, other) in enumerate(zip(said, others, strict=True))
        if text is not None and other is not None
        for sentence in sentences.split(text)
        if kind not in ("swapped", "negated") or sentence not in sentences.split(answers[query])
    ]
    grounds = [np.unique(np.concatenate([rows[one] for one in evidence[other]])) for _, other, _, _ in cases]
    found = support.signs(shelf, [claim for claim, *_ in cases], grounds)
    kind, query = (np.array([case[column] for case in cases], int) for column in (2, 3))
    return Grounds(queries, found, kind, query)


def _relevant(collection: Collection, held: dict[str, Passage], query: Query) -> list[Passage]:
    """The passages judged relevant, the highest grades first, otherwise in the order of their ids."""
    grades = {one: grade for one, grade in collection.qrels.get(query.id, {}).items() if grade > 0}
    return [held[one] for one in sorted(grades, key=lambda one: (-grades[one], one))]


def _content(query: Query) -> bool:
    """Whether the reference answer says anything: "yes" does not."""
    return any(sentences.content(part) for part in sentences.split(query.answer or ""))


def _quoted(evidence: Sequence[Passage], random: np.random.Generator) -> str | None:
    """A sentence of the evidence that can stand alone; None where there is none."""
    parts = [part for passage in evidence for part in sentences.split(passage.text)]
    able = [part for part in parts if len(sentences.content(part)) >= support.ALONE]
    return able[random.integers(len(able))] if able else None


def _others(
    queries: Sequence[Query], relevant: Sequence[set[Passage]], shelf: Shelf, random: np.random.Generator
) -> tuple[list[int | None], list[int | None]]:
    """For each question one that shares no relevant passage with it: any, and the most similar; None if none."""
    vectors = np.asarray(shelf.take(shelf.rows(query.text for query in queries)).vector)
    wrong: list[int | None] = []
    near: list[int | None] = []
    for one, likeness in enumerate(vectors @ vectors.T):
        apart = [other for other in range(len(queries)) if relevant[one].isdisjoint(relevant[other])]
        wrong.append(apart[random.integers(len(apart))] if apart else None)
        near.append(max(apart, key=likeness.__getitem__) if apart else None)
    return wrong, near
