"""The usage of a prompt that was not sent, and of an answer that no model wrote, by the encoder's tokenizer.

That tokenizer breaks texts at white space and punctuation, so the tokens of a prompt are those of its parts, and
each part is counted once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from rag_lab.encoder.shelf import Count
from rag_lab.l3_answer import prompt
from rag_lab.types import Passage, Usage


class Bill:
    """Counts, remembering every text."""

    def __init__(self, count: Count) -> None:
        self._count, self._known = count, dict[str, int]()

    def usage(
        self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]], said: Sequence[str]
    ) -> list[Usage]:
        """What each answer would have taken: one call; none where there was no evidence to send."""
        most = max(map(len, evidence), default=0)
        marks = [prompt.mark(number) for number in range(1, most + 1)]
        self._learn([*questions, *said, *marks, *(one.indexed_text for each in evidence for one in each)])
        marked = [0, *(self._known[mark] for mark in marks)]
        return [
            self._one(self._known[question] + sum(marked[: len(passages) + 1]), passages, answer)
            for question, passages, answer in zip(questions, evidence, said, strict=True)
        ]

    def _one(self, asked: int, passages: Sequence[Passage], said: str) -> Usage:
        if not passages:
            return Usage(0, 0, 0, False)
        read = self.frame + asked + sum(self._known[one.indexed_text] for one in passages)
        return Usage(1, read, self._known[said], False)

    def beside(self, questions: Sequence[str]) -> int:
        """The most tokens of a prompt to any of these questions, evidence not counted."""
        self._learn(questions)
        return self.frame + max(self._known[question] for question in questions)

    @cached_property
    def frame(self) -> int:
        """Tokens of what every prompt says."""
        return int(self._count([prompt.instruction(), prompt.request("", ())]).sum())

    def _learn(self, texts: Iterable[str]) -> None:
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, map(int, self._count(new)), strict=True))
