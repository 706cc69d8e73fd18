"""How easily an answer reads: Flesch's reading ease.

Flesch 1948 ("A new readability yardstick", Journal of Applied Psychology 32(3)): 206.835 − 1.015 · words per
sentence − 84.6 · syllables per word; about 60 to 70 is plain English, higher is easier, and long words take it
below 0. Syllables are counted by Hunspell's hyphenation patterns for US English, through pyphen, which are files
of that package: nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
VOWELS = re.compile(r"[aeiouy]+")
# A last e, and the e of -es and -ed, where it makes no syllable: "make", "makes", "helped", but "table", "houses".
SILENT = re.compile(
    r"(?<=[a-z])(?:(?<![aeiouy])(?<![^aeiouy]l)e|(?<![aeiouysxzcg])(?<![^aeiouy]l)(?<![cs]h)es|(?<![aeioutd])ed)$"
)
REMEMBERED = 100_000  # words whose syllables are kept
EASIEST = 100.0  # what counts as wholly readable where a share is wanted


def reading_ease(sentences: Sequence[str]) -> float:
    """Flesch's reading ease of a text in sentences; NaN where it holds no word."""
    words = [word for sentence in sentences for word in WORD.findall(sentence)]
    if not words:
        return float("nan")
    return 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * sum(syllables(word) for word in words) / len(words)


def share(ease: float) -> float:
    """Reading ease as a share: 0 up to an ease of 0, 1 from 100 on; NaN stays."""
    return min(max(ease, 0.0), EASIEST) / EASIEST if ease == ease else ease


@lru_cache(REMEMBERED)
def syllables(word: str) -> int:
    """Syllables of one word, at least 1."""
    lower = word.lower()
    return max(len(VOWELS.findall(SILENT.sub("", lower))), len(_patterns().positions(lower)) + 1)


@cache
def _patterns() -> Any:
    from pyphen import Pyphen

    return Pyphen(lang="en_US")
