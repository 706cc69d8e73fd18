"""What a generator is: settings, built from a configuration, which open into something that answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from rag_lab.encoder.shelf import Shelf
from rag_lab.types import Answer, Passage, ProgressFactory


class Tools(NamedTuple):
    """What generators work with. shelf: the sentences met so far, and how others are encoded and counted."""

    shelf: Shelf
    progress: ProgressFactory


class Generator(Protocol):
    """Answers questions from evidence, best passage first. order_matters: whether the same passages in another
    order may be answered otherwise.
    """

    order_matters: bool

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """One answer."""
        ...

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        """Many answers, in order; a question may come again with other evidence."""
        ...


class Stage(Protocol):
    """A generator's settings."""

    def open(self, tools: Tools) -> Generator:
        """The generator at work."""
        ...
