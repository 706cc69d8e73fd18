"""The first sentence of the best passage: the cheapest answer that has evidence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from rag_lab.types import Answer, Passage

# A sentence ends at a full stop, question or exclamation mark before a space and a capital, digit or quote.
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"'“(])")


class Lead(NamedTuple):
    """The generator stage."""

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """The lead sentence of the first passage, citing it; nothing where there is no passage."""
        if not evidence:
            return Answer("", ())
        return Answer(END.split(evidence[0].text.strip(), maxsplit=1)[0], (evidence[0].id,))


def build() -> Lead:
    """The generator; it has nothing to set."""
    return Lead()
