"""Whether two questions are near enough in words for one to be served with what the other found.

Vectors hardly see a negation or a number ("IVIG is effective", "is not effective": cosine 0.99), so both questions
must hold the very same ones, in the same order, and share enough of their content words (Jaccard 1901).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from rag_lab.encoder.sentences import FUNCTION_WORDS

NEGATIONS = frozenset(("no", "not", "never", "none", "neither", "nor", "without", "cannot"))  # and all in …n't
KEPT = 1 << 14  # questions whose words are kept at hand, those asked last


class Said(NamedTuple):
    """A question's words. content: those that are no function words; deciding: numbers and negations, in order."""

    content: frozenset[str]
    deciding: tuple[str, ...]


@lru_cache(KEPT)
def said(text: str) -> Said:
    """The words of a question that the gate looks at."""
    every = words(text)
    return Said(frozenset(every) - FUNCTION_WORDS, tuple(word for word in every if is_deciding(word)))


def words(text: str) -> list[str]:
    """All words in lower case; an apostrophe is part of one."""
    return re.findall(r"[\w']+", text.casefold().replace("’", "'"))


def is_deciding(word: str) -> bool:
    """Whether it is a negation, or holds a number."""
    return word in NEGATIONS or word.endswith("n't") or any(map(str.isdigit, word))


def admits(one: str, other: str, overlap: float) -> bool:
    """The gate. overlap: the least share of content words in common, of those that either has."""
    first, second = said(one), said(other)
    common, either = len(first.content & second.content), len(first.content | second.content)
    return first.deciding == second.deciding and common >= overlap * max(1, either)
