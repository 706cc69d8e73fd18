from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.l1_retrieval.lexical import index

WORDS = ["fever", "aspirin", "bond", "tax", "river", "x-ray", "the", "of", "Δx", "i"]
sentences = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)


def test_by_hand() -> None:
    """Three passages of 3, 1 and 2 words; "blood" is in one, "cell" in two. Lucene's formula, k1 1.5, b 0.75."""
    scores = index(["Blood, blood cell", "the cell", "tax rate"], k1=1.5, b=0.75)(["blood of a cell", "taxes"])
    blood, cell = np.log(1 + 2.5 / 1.5), np.log(1 + 1.5 / 2.5)
    np.testing.assert_allclose(scores[0], [blood * 2 / 4.0625 + cell / 3.0625, cell / 1.9375, 0], rtol=1e-6)
    assert scores[1].tolist() == [0, 0, 0]  # no stemming
    assert scores.dtype == np.float32


@settings(max_examples=50, deadline=None)
@given(st.lists(sentences, min_size=1, max_size=8), st.lists(sentences, min_size=1, max_size=3))
def test_the_naive_scores_agree(passages: list[str], queries: list[str]) -> None:
    found = index(passages, k1=reference.K1, b=reference.B)(queries)
    assert found.shape == (len(queries), len(passages))
    if any(reference.words(passages)):
        expected = [reference.bm25_scores(query, passages) for query in queries]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    else:
        assert not found.any()


def test_a_repeated_word_counts_again() -> None:
    once, twice = index(["fever here", "none"], k1=1.5, b=0.75)(["fever", "fever fever"])
    np.testing.assert_allclose(twice, 2 * once)


@pytest.mark.parametrize("query", ["", "the of", "unheard words", "!"])
def test_a_query_without_a_known_word_scores_nothing(query: str) -> None:
    assert not index(["fever here", "none"], k1=1.5, b=0.75)([query, "fever"])[0].any()


def test_a_corpus_without_a_word_scores_nothing() -> None:
    assert index(["the", "!", "a"], k1=1.5, b=0.75)(["the fever"]).tolist() == [[0, 0, 0]]


def test_length_counts_only_as_b_says() -> None:
    passages = ["fever", "fever and much more about rivers, bonds, taxes"]
    flat = index(passages, k1=1.5, b=0.0)(["fever"])[0]
    full = index(passages, k1=1.5, b=1.0)(["fever"])[0]
    assert flat[0] == flat[1] and full[0] > full[1]


def test_repetition_counts_only_as_k1_says() -> None:
    passages = ["fever bond", "fever fever"]
    assert len(set(index(passages, k1=0.0, b=0.0)(["fever"])[0].tolist())) == 1
    scores = index(passages, k1=1.5, b=0.0)(["fever"])[0]
    assert scores[1] > scores[0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(sentences, min_size=1, max_size=8).filter(lambda passages: any(reference.words(passages))),
    st.dictionaries(st.sampled_from(["fever", "aspirin", "bond", "ray"]), st.floats(0.1, 3), max_size=4),
)
def test_the_naive_weighted_scores_agree(passages: list[str], weights: dict[str, float]) -> None:
    found = index(passages, k1=reference.K1, b=reference.B)
    known = {word: weight for word, weight in weights.items() if word in found.number}
    scores = found.weighted([{found.number[word]: weight for word, weight in known.items()}, {}])
    expected = reference.bm25_of_weights(known, [Counter(passage) for passage in reference.words(passages)])
    np.testing.assert_allclose(scores[0], expected, rtol=1e-5, atol=1e-6)
    assert not scores[1].any()


def test_bags_and_idf_by_hand() -> None:
    """Words are numbered alphabetically: cell, fever. Two passages; "fever" is in both, "cell" in one."""
    found = index(["fever cell fever", "the", "fever"], k1=1.5, b=0.75)
    assert found.number == {"cell": 0, "fever": 1} and found.known(["Fever, unheard cell"]) == [[1, 0]]
    bags = found.bags
    assert [one.tolist() for one in bags] == [[0, 1, 1], [1, 2, 1], [0, 2, 2, 3], [3, 0, 1]]
    np.testing.assert_allclose(found.idf, [np.log(1 + 2.5 / 1.5), np.log(1 + 1.5 / 2.5)])


def test_a_corpus_without_a_word_has_empty_bags() -> None:
    found = index(["the", ""], k1=1.5, b=0.75)
    assert found.bags.starts.tolist() == [0, 0, 0] and found.idf.shape == (0,) and found.known(["fever"]) == [[]]
