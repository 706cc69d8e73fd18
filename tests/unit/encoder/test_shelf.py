"""The shelf: nothing is encoded twice, titles are read but not said, adding changes no earlier row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Shelf, padded
from rag_lab.types import Passage


class Encoder:
    """Two-dimensional vectors by length, remembering what was asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.calls.append(list(texts))
        return np.array([[len(text), 1.0] for text in texts], np.float32)


def count(texts: Sequence[str]) -> np.ndarray:
    return np.array([len(text.split()) for text in texts], np.int64)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder()


@pytest.fixture
def shelf(encoder: Encoder) -> Shelf:
    return Shelf(encoder, count)


def test_a_passage_is_read_with_its_title_and_said_without(shelf: Shelf, encoder: Encoder) -> None:
    [rows] = shelf.passages([Passage("p", "Ghana", "It is warm. Rivers run.", 0)])
    assert encoder.calls == [["Ghana It is warm.", "Ghana Rivers run."]]
    assert [shelf.said[row] for row in rows] == ["It is warm.", "Rivers run."]
    assert shelf.tokens[rows].tolist() == [3, 2]
    np.testing.assert_array_equal(shelf.take(rows).stems, sentences.words(encoder.calls[0]).stems)


def test_nothing_is_encoded_twice(shelf: Shelf, encoder: Encoder) -> None:
    one = Passage("p", "", "It is warm. Rivers run.", 0)
    first = shelf.passages([one, one._replace(id="q")])
    again = shelf.passages([one])
    assert shelf.rows(["Rivers run.", "Why?", "Why?"]).tolist() == [1, 2, 2]
    assert first[0].tolist() == first[1].tolist() == again[0].tolist() == [0, 1]
    assert encoder.calls == [["It is warm.", "Rivers run."], ["Why?"]]


def test_a_title_tells_equal_sentences_apart(shelf: Shelf) -> None:
    """ "A B" entitled nothing, "B" entitled "A": read alike, said otherwise."""
    first, second = shelf.passages([Passage("p", "", "A B", 0), Passage("q", "A", "B", 1)])
    assert first.tolist() != second.tolist()
    assert [shelf.said[row] for row in (*first, *second)] == ["A B", "B"]


def test_rows_stay_where_they_are_while_the_shelf_grows(shelf: Shelf) -> None:
    rows = [shelf.rows([f"sentence {number}"])[0] for number in range(40)]
    assert rows == list(range(40))
    taken = shelf.take(np.array([0, 39, 7]))
    assert [float(vector[0]) for vector in taken.vector] == [
        len("sentence 0"),
        len("sentence 39"),
        len("sentence 7"),
    ]
    assert shelf.take(np.array([[1, 2], [3, 4]])).stems.shape == (2, 2, sentences.WORDS)


def test_empty_passages_and_no_passages(shelf: Shelf) -> None:
    assert shelf.passages([]) == []
    assert [rows.tolist() for rows in shelf.passages([Passage("p", "", "...", 0), Passage("q", "", "a", 1)])] == [
        [],
        [0],
    ]


@pytest.mark.parametrize(
    ("size", "least", "expected"), [(1, 1, 1), (3, 1, 4), (3, 32, 32), (64, 32, 64), (65, 32, 128)]
)
def test_padding(size: int, least: int, expected: int) -> None:
    assert padded(size, least) == expected
