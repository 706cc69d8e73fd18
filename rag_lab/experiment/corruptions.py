"""True sentences made false by one change: another name or number, or the opposite.

What a check of support must notice and a comparison of words hardly can. Neither change understands the sentence,
so some of what it makes is still true, or nonsense.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
NAME = re.compile(r"(?<=[a-z,;:] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")  # capitals that open no sentence
NEGATION = re.compile(r"\b(?:not|never) |n['’]t\b|\bno(?= )", re.IGNORECASE)
AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|can|could|may|might|will|would|should|must|has|have|had|does|do|did)\b(?! not)",
    re.IGNORECASE,
)


def names(text: str) -> list[str]:
    """The names of a text, in order."""
    return NAME.findall(text)


def numbers(text: str) -> list[str]:
    """The numbers of a text, in order."""
    return NUMBER.findall(text)


def swapped(text: str, others: Sequence[str], random: np.random.Generator) -> str | None:
    """The text with one of its names or numbers, drawn at random, replaced by another of its kind from `others`.

    None where it has none, or the others offer none that differs.
    """
    marks = [
        *((match, names) for match in NAME.finditer(text)),
        *((match, numbers) for match in NUMBER.finditer(text)),
    ]
    if not marks:
        return None
    match, kind = marks[random.integers(len(marks))]
    offered = sorted({one for other in others for one in kind(other)} - set(kind(text)))
    if not offered:
        return None
    return text[: match.start()] + offered[random.integers(len(offered))] + text[match.end() :]


def negated(text: str) -> str | None:
    """The text without its first negation, or with one after its first auxiliary; None where it has neither."""
    if NEGATION.search(text):
        return NEGATION.sub("", text, count=1)
    return AUXILIARY.sub(r"\g<0> not", text, count=1) if AUXILIARY.search(text) else None
