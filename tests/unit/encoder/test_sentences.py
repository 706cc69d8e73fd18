"""Sentences and content words: worked cases, and properties that no text may break."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.encoder import sentences
from rag_lab.encoder.sentences import content, number, split, stem, words


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Sleep helps. It also heals.", ("Sleep helps.", "It also heals.")),
        ("Does it? Yes! Indeed.", ("Does it?", "Yes!", "Indeed.")),
        ("About 3.5 mg a day is enough. More is not.", ("About 3.5 mg a day is enough.", "More is not.")),
        ("See fig. 2 for it. Then stop.", ("See fig. 2 for it.", "Then stop.")),
        ("Dr. J. Smith of the U.S. Army left.", ("Dr. J. Smith of the U.S. Army left.",)),
        ('He said "stop." Then he left.', ('He said "stop."', "Then he left.")),
        ("Limits\n- five a day\n- ten a week", ("Limits", "- five a day", "- ten a week")),
        ("a sentence. without a capital", ("a sentence. without a capital",)),
        ("  One without an end  ", ("One without an end",)),
        ("...", ()),
        ("", ()),
    ],
)
def test_where_sentences_end(text: str, parts: tuple[str, ...]) -> None:
    assert split(text) == parts


@given(st.text(alphabet="aB1 .!?\n\"'()", max_size=80))
def test_splitting_loses_no_word_and_repeats_itself(text: str) -> None:
    parts = split(text)
    assert [word for part in parts for word in sentences.WORD.findall(part)] == sentences.WORD.findall(text)
    assert all(part == part.strip() and sentences.WORD.search(part) for part in parts)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("studies", "study"), ("boxes", "box"), ("houses", "hous"), ("house", "hous"), ("increases", "increas"),
        ("increased", "increas"), ("increasing", "increas"), ("vaccines", "vaccin"), ("virus", "virus"),
        ("loss", "loss"), ("crisis", "crisis"), ("gas", "gas"), ("red", "red"), ("ring", "ring"), ("1943", "1943"),
    ],
)  # fmt: skip
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


def test_content_words_are_distinct_stems_with_names_and_numbers_marked() -> None:
    found = content("The Little Prince was published in 1943, and no prince publishes.")
    assert found == (
        (number("littl"), True),
        (number("princ"), True),
        (number("publish"), False),
        (number("1943"), True),
    )


def test_a_capital_that_opens_the_sentence_is_no_name() -> None:
    assert content("Paris sleeps") == ((number("paris"), False), (number("sleep"), False))
    assert content("In Paris") == ((number("paris"), True),)


def test_yes_and_no_have_no_content() -> None:
    assert content("Yes.") == content("no") == ()


@pytest.mark.parametrize(
    ("sentence", "negated"),
    [
        ("It helps.", False),
        ("It does not help.", True),
        ("It doesn't help.", True),
        ("It doesn’t help.", True),
        ("It is not without risk.", False),
        ("Nothing helps.", True),
        ("A notable note.", False),
    ],
)
def test_negation_is_counted_by_parity(sentence: str, negated: bool) -> None:
    assert words([sentence]).negated.tolist() == [negated]


def test_arrays_hold_what_the_sentences_do_and_pad_with_zero() -> None:
    long = " ".join(f"word{number}" for number in range(sentences.WORDS + 5))
    found = words(["Rivers of Ghana", "", long])
    assert found.stems.shape == found.named.shape == (3, sentences.WORDS)
    assert found.stems[0].tolist() == [number("river"), number("ghana")] + [0] * (sentences.WORDS - 2)
    assert found.named[0].tolist() == [False, True] + [False] * (sentences.WORDS - 2)
    assert not found.stems[1].any() and (found.stems[2] > 0).all()


@given(st.text(max_size=20))
def test_the_number_of_a_stem_fits_and_never_pads(word: str) -> None:
    assert 0 < number(word) < 2**31
    assert np.int32(number(word)) == number(word)
