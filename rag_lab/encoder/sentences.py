"""Texts into sentences, and sentences into content words: what answers are cut from and checked by.

A sentence ends at a line break, or at a full stop, question or exclamation mark before white space and a capital,
digit, quote or bracket, unless the full stop ends an abbreviation or an initial. Content words are runs of letters
and digits in lower case, without function words, each cut to its stem by a few suffix rules in the manner of the
"S stemmer" (Harman 1991, JASIS 42(1)): enough for an overlap, and the same for everybody.

Shapes: S sentences, W words of a sentence. Words are numbers, so that arrays hold them: the CRC-32 of the stem,
never 0, which pads.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

WORDS = 64  # distinct content words kept of a sentence; longer ones are lists, and lose their tail
MOST_KEPT = 200_000  # passages, stems and sentences whose parts are remembered in memory

END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[A-Z0-9\"'“‘(\[])|\s*\n\s*")
# What ends with a full stop and yet ends no sentence, at the end of what has been read so far.
ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Z]|Mrs?|Ms|Dr|Prof|St|Jr|Sr|vs|etc|cf|al|approx|[Ff]igs?|No|Inc|Ltd|Co|Corp"
    r"|e\.g|i\.e|U\.S|U\.K|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.$"
)
WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
NEGATION = re.compile(r"\b(?:not?|never|none|neither|nor|nothing|nobody|without|cannot)\b|n['’]t\b", re.IGNORECASE)
# Words that no claim is about. "Yes" and "no" are among them: in an answer of one word there is nothing to find.
FUNCTION_WORDS = frozenset(
    WORD.findall("""a about above after again against all also am an and any are as at be because been before being
    below between both but by can cannot could did do does doing don down during each either every few for from
    further had has have having he her here hers herself him himself his how however i if in into is isn it
    its itself just may me might more most much must my myself neither no nor not of off on once only or
    other our ours ourselves out over own per rather s same shall she should since so some such t than that
    the their theirs them themselves then there these they this those though through thus to too under until
    up upon us very was we were what when where whether which while who whom whose why will with within
    without would yes yet you your yours yourself""")
)


class Words(NamedTuple):
    """The content words of S sentences. stems: distinct, in order of appearance, 0 past the end; named: which of
    them stand for a name or a number; negated: whether the sentence holds an odd number of negations.
    """

    stems: Int[np.ndarray, "S W"]
    named: Bool[np.ndarray, "S W"]
    negated: Bool[np.ndarray, " S"]


@lru_cache(MOST_KEPT)
def split(text: str) -> tuple[str, ...]:
    """The sentences of a text, stripped, in order; a bare text without an end is one sentence."""
    found, start = [], 0
    for end in END.finditer(text):
        if "\n" not in end.group() and ABBREVIATION.search(text[start : end.start()]):
            continue
        found.append(text[start : end.end()].strip())
        start = end.end()
    found.append(text[start:].strip())
    return tuple(sentence for sentence in found if WORD.search(sentence))


def beginning(text: str, count: int) -> str:
    """The text as far as its first `count` sentences reach: it splits into just these."""
    end = 0
    for sentence in split(text)[:count]:
        end = text.index(sentence, end) + len(sentence)
    return text[:end]


@lru_cache(MOST_KEPT)
def stem(word: str) -> str:
    """A word in lower case without its plural, its -ing or -ed, and a last e; numbers and short words stay."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ses", "xes", "zes", "ches", "shes")) and len(word) > 4:
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    if word.endswith("ing") and len(word) > 5:
        word = word[:-3]
    elif word.endswith("ed") and len(word) > 4:
        word = word[:-2]
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def number(word: str) -> int:
    """The number of a stem: positive, below 2³¹."""
    return (zlib.crc32(word.encode()) & 0x7FFFFFFF) or 1


@lru_cache(MOST_KEPT)
def content(sentence: str) -> tuple[tuple[int, bool], ...]:
    """The distinct content words of a sentence in order of appearance, and which are names or numbers.

    A name is a word with a capital that does not open the sentence, or one with a digit.
    """
    found: dict[int, bool] = {}
    for match in WORD.finditer(sentence):
        word = match.group()
        lower = word.lower()
        if lower not in FUNCTION_WORDS:
            named = any(map(str.isdigit, word)) or (match.start() > 0 and word[0].isupper())
            one = number(stem(lower))
            found[one] = found.get(one, False) or named
    return tuple(found.items())


def words(sentences: Sequence[str]) -> Words:
    """The content words of the sentences as arrays."""
    stems = np.zeros((len(sentences), WORDS), np.int32)
    named = np.zeros((len(sentences), WORDS), bool)
    for row, sentence in enumerate(sentences):
        kept = content(sentence)[:WORDS]
        stems[row, : len(kept)] = [one for one, _ in kept]
        named[row, : len(kept)] = [flag for _, flag in kept]
    negated = np.array([len(NEGATION.findall(sentence)) % 2 == 1 for sentence in sentences], bool)
    return Words(stems, named, negated)
