"""Flesch's reading ease: worked arithmetic, and the order that anybody would give."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.metrics.readability import reading_ease, share, syllables

KNOWN = {
    1: "the sleep used helped makes bank need played mouse heart whole rule rules style styles called x",
    2: "water open able about ago vaccine studies wanted houses table people science create account changes",
    3: "evidence medicine interest customer government increases diseases insulin capital family languages",
    4: "economy education population",
    5: "readability university",
}


@pytest.mark.parametrize(("count", "words"), KNOWN.items())
def test_syllables_that_a_speaker_counts(count: int, words: str) -> None:
    assert {word: syllables(word) for word in words.split()} == dict.fromkeys(words.split(), count)
    assert all(syllables(word.upper()) == count for word in words.split())


def test_vowels_side_by_side_are_missed_where_no_pattern_parts_them() -> None:
    """A known limit, the same in every answer: a speaker gives these three."""
    assert syllables("area") == syllables("idea") == 2


def test_by_hand() -> None:
    """Six words of one syllable in two sentences, then one word of five."""
    assert reading_ease(["The cat sat.", "The dog ran."]) == pytest.approx(206.835 - 1.015 * 3 - 84.6)
    assert reading_ease(["Readability."]) == pytest.approx(206.835 - 1.015 - 84.6 * 5)


def test_numbers_and_signs_are_no_words() -> None:
    assert reading_ease(["The cat sat, 1943 [2]."]) == reading_ease(["The cat sat."])
    assert math.isnan(reading_ease(["1943."])) and math.isnan(reading_ease([]))


def test_plain_words_read_easier_than_learned_ones() -> None:
    plain = reading_ease(["Sleep helps you learn.", "It rests the brain."])
    learned = reading_ease(["Adequate nocturnal recuperation facilitates neurocognitive consolidation."])
    assert learned < 0 < 90 < plain


@given(st.floats(-500, 150))
def test_the_share_is_between_0_and_1_and_keeps_the_order(ease: float) -> None:
    assert 0 <= share(ease) <= 1
    assert share(ease) <= share(ease + 1)


def test_the_share_by_hand() -> None:
    assert [share(ease) for ease in (-20.0, 0.0, 65.0, 100.0, 121.0)] == [0, 0, 0.65, 1, 1]
    assert math.isnan(share(float("nan")))
