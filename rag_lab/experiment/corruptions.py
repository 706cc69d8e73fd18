"""True sentences made false by one change: another name or number, or the opposite.

What a check of support must notice and a comparison of words hardly can. Neither change understands the sentence,
so some of what it makes is still true, or nonsense.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")  # capitals that open no sentence
NEGATION = re.compile(r"\b(?:not|never) |n['’]t\b|\bno(?= )", re.IGNORECASE)
AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|can|could|may|might|will|would|should|must|has|have|had|does|do|did)\b(?! not)",
    re.IGNORECASE,
)


class Offers(NamedTuple):
    """What may take the place of a name, and of a number; each sorted."""

    names: tuple[str, ...]
    numbers: tuple[str, ...]


def offers(texts: Iterable[str]) -> Offers:
    """All names and numbers of these texts."""
    names: set[str] = set()
    numbers: set[str] = set()
    for text in texts:
        names.update(NAME.findall(text))
        numbers.update(NUMBER.findall(text))
    return Offers(tuple(sorted(names)), tuple(sorted(numbers)))


def swapped(text: str, offered: Offers, random: np.random.Generator) -> str | None:
    """The text with one of its names or numbers, drawn at random, replaced by another of its kind.

    None where it has none, or nothing else is offered.
    """
    kinds = ((NAME, offered.names), (NUMBER, offered.numbers))
    marks = [(match, pattern, others) for pattern, others in kinds for match in pattern.finditer(text)]
    if not marks:
        return None
    match, pattern, others = marks[random.integers(len(marks))]
    left = sorted(set(others) - set(pattern.findall(text)))
    return text[: match.start()] + left[random.integers(len(left))] + text[match.end() :] if left else None


def negated(text: str) -> str | None:
    """The text without its first negation, or with one after its first auxiliary; None where it has neither."""
    if NEGATION.search(text):
        return NEGATION.sub("", text, count=1)
    return AUXILIARY.sub(r"\g<0> not", text, count=1) if AUXILIARY.search(text) else None
