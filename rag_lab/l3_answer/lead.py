"""The first sentence of the best passage: the cheapest answer that has evidence."""

from __future__ import annotations

from collections.abc import Sequence

from rag_lab.encoder.sentences import split
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Answer, Passage, Sentence


class Lead:
    """The generator stage, and the generator at work: it has no settings and wants no tools."""

    order_matters = True

    def open(self, tools: Tools) -> Lead:
        """Itself."""
        return self

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        """Many answers, in order."""
        return [self.answer(*each) for each in zip(questions, evidence, strict=True)]

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """The lead sentence of the first passage, citing it; nothing where there is none."""
        first = split(evidence[0].text)[:1] if evidence else ()
        cited = tuple(passage.id for passage in evidence[: len(first)])
        return Answer(" ".join(first), cited, tuple(Sentence(one, cited) for one in first))


def build() -> Lead:
    """The generator; it has nothing to set."""
    return Lead()
