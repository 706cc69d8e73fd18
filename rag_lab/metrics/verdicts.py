"""Which sentences which passages support: asked for one by one, judged together, each distinct question once.

A sentence that stands in one of the passages word for word is supported; others are judged by `metrics.support`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_lab.encoder.shelf import Shelf
from rag_lab.kernels.support import Head
from rag_lab.metrics import support
from rag_lab.types import Passage

Key = tuple[str, str, frozenset[int]]


class Verdicts:
    """First `ask` for everything, then `settle`, then look up `supported`."""

    def __init__(self, head: Head, shelf: Shelf) -> None:
        self._head, self._shelf = head, shelf
        self._number: dict[Passage, int] = {}
        self._passages: list[Passage] = []
        self._open: dict[Key, None] = {}
        self._settled: dict[Key, bool] = {}

    def ask(self, question: str, sentence: str, passages: Sequence[Passage]) -> None:
        """Want to know whether these passages together support a sentence said in answer to the question."""
        key = self._key(question, sentence, passages)
        if key not in self._settled:
            self._open[key] = None

    def settle(self) -> None:
        """Judge all that is open."""
        rows = self._shelf.passages(self._passages)
        said = [{self._shelf.said[row] for row in its} for its in rows]
        doubtful = []
        for key in self._open:
            _, sentence, numbers = key
            if any(sentence in said[number] for number in numbers):
                self._settled[key] = True
            else:
                doubtful.append(key)
        claims = [support.claim(question, sentence) for question, sentence, _ in doubtful]
        evidence = [
            np.unique(np.concatenate([np.zeros(0, np.int64), *(rows[number] for number in numbers)]))
            for _, _, numbers in doubtful
        ]
        likely = support.probabilities(self._head, support.signs(self._shelf, claims, evidence))
        self._settled.update(zip(doubtful, (likely >= self._head.threshold).tolist(), strict=True))
        self._open.clear()

    def supported(self, question: str, sentence: str, passages: Sequence[Passage]) -> bool:
        """The verdict on what was asked for and settled."""
        return self._settled[self._key(question, sentence, passages)]

    def _key(self, question: str, sentence: str, passages: Sequence[Passage]) -> Key:
        numbers = []
        for passage in passages:
            number = self._number.setdefault(passage, len(self._passages))
            if number == len(self._passages):
                self._passages.append(passage)
            numbers.append(number)
        return question, sentence, frozenset(numbers)
