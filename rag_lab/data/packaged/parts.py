"""What a source gives to a domain, and how such parts become one raw collection.

Texts have their white space flattened to single spaces, except for the line breaks of the bank's documents.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from rag_lab.types import Collection, Passage, Query


class Text(NamedTuple):
    """A passage before it has a place in a collection."""

    id: str
    title: str
    text: str


class Question(NamedTuple):
    """A question with the ids of the texts that answer it; none of them: known to be unanswerable."""

    id: str
    text: str
    relevant: tuple[str, ...] = ()
    answer: str | None = None


class Part(NamedTuple):
    """Texts and questions of one source for one domain."""

    texts: tuple[Text, ...] = ()
    questions: tuple[Question, ...] = ()


def flat(text: str) -> str:
    """The text on one line, with single spaces."""
    return " ".join(text.split())


def collect(domain: str, parts: Iterable[Part]) -> Collection:
    """One domain's raw collection: exact duplicates merged, ids prefixed with the domain, grades 1.

    Passages that read the same (title and text) are one, and questions that read the same but for case are
    one with all their relevant passages. Passages stand in the order of their ids' hashes: the order
    breaks ties in a ranking, so it must not tell the judged from the others. A question is unanswerable
    only if none of its rows has an answer.
    """
    parts = list(parts)
    first: dict[tuple[str, str], Text] = {}
    alias: dict[str, str] = {}
    for text in (text for part in parts for text in part.texts):
        alias[text.id] = first.setdefault((text.title, text.text), text).id
    texts = sorted(first.values(), key=lambda text: hashlib.sha256(text.id.encode()).digest())
    passages = tuple(Passage(f"{domain}/{text.id}", text.title, text.text, row) for row, text in enumerate(texts))

    asked: dict[str, list[Question]] = {}
    for question in (question for part in parts for question in part.questions):
        asked.setdefault(question.text.casefold(), []).append(question)
    queries: list[Query] = []
    unanswerable: list[Query] = []
    qrels: dict[str, dict[str, int]] = {}
    for same in asked.values():
        answered = [question for question in same if question.relevant]
        head = (answered or same)[0]
        where = queries if answered else unanswerable
        query = Query(f"{domain}/{head.id}", head.text, domain, "test", len(where), head.answer)
        where.append(query)
        if answered:
            judged = (alias[one] for question in answered for one in question.relevant)
            qrels[query.id] = {f"{domain}/{one}": 1 for one in judged}
    return Collection(domain, passages, tuple(queries), qrels, len(passages), len(queries), tuple(unanswerable))
