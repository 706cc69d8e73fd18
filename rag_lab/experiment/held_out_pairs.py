"""Questions made of a data set's own by rule, to see whom a semantic layer would serve wrongly.

Paraphrases want what the question that they are made of wants: its words in capitals, in another order, without
function words. Near-opposites do not: a negation put in or taken out, a number changed, the rarest word exchanged for
another question's. A rule gives None where it does not apply. No text comes from outside.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from rag_lab.cache.gate import said
from rag_lab.encoder.sentences import FUNCTION_WORDS

AUXILIARIES = re.compile(
    r"\b(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|may|might|must)\b", re.IGNORECASE
)
# What is left of a negation that is taken out.
POSITIVE = {"without": "with", "cannot": "can", "never": "ever", "none": "all", "neither": "both", "nor": "and"}
NEGATIVE = re.compile(r"\b(?:no|not|never|none|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE)


class Made(NamedTuple):
    """A question made of another. kind: the rule; source: the other's row; same: whether they want the same."""

    kind: str
    source: int
    text: str
    same: bool


def made(texts: Sequence[str], most: int) -> list[Made]:
    """All that the rules make of one collection's questions; of `most` of them, evenly spread."""
    asked = Counter(chain.from_iterable(said(text).content for text in texts))
    rows = range(0, len(texts), max(1, -(-len(texts) // most)))
    found: list[Made] = []
    for row in rows:
        text, other = texts[row], texts[(row + 1) % len(texts)]
        by_rule = {
            "capitals": (text.upper(), True),
            "word order": (reordered(text), True),
            "function words": (bare(text), True),
            "negation": (negated(text), False),
            "number": (renumbered(text), False),
            "rarest word": (exchanged(text, other, asked), False),
        }
        found += [Made(kind, row, new, same) for kind, (new, same) in by_rule.items() if new and new != text]
    return found


def reordered(text: str) -> str:
    """The second half of the words before the first."""
    every = text.rstrip("?.! ").split()
    middle = len(every) // 2
    return " ".join(every[middle:] + every[:middle])


def bare(text: str) -> str | None:
    """Without function words, but with its negations."""
    kept = [
        word
        for word in text.split()
        if NEGATIVE.search(word) or not set(re.findall(r"[^\W_]+", word.casefold())) <= FUNCTION_WORDS
    ]
    return " ".join(kept) or None


def negated(text: str) -> str | None:
    """The opposite: without its first negation, or with one after the first auxiliary verb."""
    if NEGATIVE.search(text):
        new = NEGATIVE.sub(lambda found: POSITIVE.get(found[0].casefold(), ""), text, count=1)
        return " ".join(new.split())
    new, count = AUXILIARIES.subn(lambda found: f"{found[0]} not", text, count=1)
    return new if count else None


def renumbered(text: str) -> str | None:
    """Its first number, one larger."""
    new, count = re.subn(r"\d+", lambda found: str(int(found[0]) + 1), text, count=1)
    return new if count else None


def exchanged(text: str, other: str, asked: Counter[str]) -> str | None:
    """With the word that the fewest questions hold exchanged for that of another question."""
    mine, theirs = (sorted(said(one).content, key=lambda word: (asked[word], word)) for one in (text, other))
    if not mine or not theirs or mine[0] == theirs[0]:
        return None
    return re.sub(rf"(?<!\w){re.escape(mine[0])}(?!\w)", lambda _: theirs[0], text, count=1, flags=re.IGNORECASE)
