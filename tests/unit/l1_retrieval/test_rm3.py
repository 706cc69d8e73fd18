from __future__ import annotations

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.l1_retrieval.lexical import Lexical
from rag_lab.l1_retrieval.rm3 import expand

WORDS = ["bond", "fever", "river", "tax", "aspirin", "copper"]
PASSAGES = ["fever fever aspirin river", "tax bond", "river copper copper", "the"]
INDEX = Lexical(PASSAGES, 1.5, 0.75)
NAMES = {number: word for word, number in INDEX.number.items()}


def expanded(query: str, evidence: list[int], scores: list[float], terms: int, original: float) -> dict[str, float]:
    (known,) = INDEX.known([query])
    found = expand(known, np.array(evidence, int), np.array(scores, float), INDEX.bags, terms=terms, original=original)
    return {NAMES[word]: weight for word, weight in found.items()}


def test_by_hand() -> None:
    """Scores 3 and 1: fever ¾·2/4, aspirin and river ¾·1/4, tax and bond ¼·1/2. Three words are taken: of mass
    0.75 all three; "aspirin" comes before "river". The query has one known word, which has half the weight."""
    found = expanded("fever unheard", [0, 1], [0.9, 0.3], terms=3, original=0.5)
    assert found == pytest.approx({"fever": 0.5 + 0.5 * 0.5, "aspirin": 0.5 * 0.25, "river": 0.5 * 0.25})


def test_ties_are_taken_in_alphabetical_order() -> None:
    assert list(expanded("tax", [1], [1.0], terms=1, original=0.5)) == ["tax", "bond"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*WORDS, "unheard"]), max_size=5).map(" ".join),
    st.dictionaries(st.sampled_from([0, 1, 2]), st.sampled_from([0.0, 0.25, 0.7]), min_size=1),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.3, 1.0]),
)  # fmt: skip
def test_the_naive_query_agrees(query: str, found: dict[int, float], terms: int, original: float) -> None:
    evidence, scores = list(found), list(found.values())
    held = reference.words(PASSAGES)
    known = [word for word in reference.words([query])[0] if word in INDEX.number]
    expected = reference.rm3(known, [held[row] for row in evidence], np.array(scores), terms, original)
    assert expanded(query, evidence, scores, terms, original) == pytest.approx(expected)


def test_the_query_alone_is_plain_bm25() -> None:
    queries = ["fever river river", "copper"]
    longer = [
        expand(known, np.array([0, 1]), np.array([0.9, 0.3]), INDEX.bags, terms=9, original=1.0)
        for known in INDEX.known(queries)
    ]
    np.testing.assert_allclose(INDEX.weighted(longer), INDEX(queries), rtol=1e-6)


def test_a_query_that_nothing_knows_becomes_the_evidence() -> None:
    found = expanded("unheard", [1], [0.4], terms=5, original=0.5)
    assert found == pytest.approx({"tax": 0.25, "bond": 0.25})


def test_evidence_without_a_word_adds_nothing() -> None:
    assert expanded("fever", [3], [0.4], terms=5, original=0.5) == {"fever": 0.5}
