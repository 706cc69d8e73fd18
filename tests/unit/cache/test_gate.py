"""The gate of words: what it parts, what it lets through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.cache.gate import admits, said


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("does aspirin help", "does aspirin not help"),
        ("it's safe", "it isn't safe"),
        ("aspirin isn’t safe", "aspirin is safe"),
        ("save $10,000 now", "save $100,000 now"),
        ("vitamin b12 dose", "vitamin b6 dose"),
        ("from 3 to 5 pills", "from 5 to 3 pills"),
        ("positive effects of sleep", "negative causes of wakefulness"),
        ("what is this?", "what was that?"),  # no content at all: nothing to agree on
    ],
)
def test_it_parts_numbers_negations_and_other_words(one: str, other: str) -> None:
    assert not admits(one, other, 0.5) and not admits(other, one, 0.5)


def test_the_overlap_by_hand() -> None:
    one, other = "What cures a fever?", "cure for fever, cures"
    assert said(one).content == {"cures", "fever"} and said(other).content == {"cure", "cures", "fever"}
    assert admits(one, other, 2 / 3) and not admits(one, other, 0.67)


@given(st.text(max_size=40), st.text(max_size=40), st.floats(0, 1))
def test_it_is_the_same_from_both_sides(one: str, other: str, overlap: float) -> None:
    assert admits(one, other, overlap) == admits(other, one, overlap)
    assert admits(one, one, overlap) == (bool(said(one).content) or overlap == 0)
