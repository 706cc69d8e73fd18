"""BM25 scores of every passage for each query, by bm25s.

Lucene's variant of BM25 (Robertson and Zaragoza 2009; Kamphuis et al. 2020, ECIR, for the variants), with
bm25s' own tokenisation and English stop words and no stemming.

Shapes: Q queries, N passages, V words of the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

STOPWORDS = "en"


class Bags(NamedTuple):
    """Words of every passage, those of passage n at starts[n]:starts[n + 1], and how often it has each.

    lengths: of the passages, in words.
    """

    word: Int[np.ndarray, " entries"]
    times: Int[np.ndarray, " entries"]
    starts: Int[np.ndarray, " N+1"]
    lengths: Int[np.ndarray, " N"]


def words(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text that BM25 sees, in order."""
    import bm25s  # importing it tries JAX out, which would start a backend

    return bm25s.tokenize(list(texts), stopwords=STOPWORDS, return_ids=False, show_progress=False)


class Lexical:
    """An index of passages. A word is known by its number, 0 … V − 1 in alphabetical order."""

    def __init__(self, passages: Sequence[str], k1: float, b: float) -> None:
        import bm25s

        tokens = words(passages)
        self.count = len(passages)
        # Numbered here: bm25s' own order comes from a set, and would differ from process to process.
        self.number = {word: number for number, word in enumerate(sorted(set(chain.from_iterable(tokens))))}
        self._passages = [[self.number[word] for word in passage] for passage in tokens]
        self._model = bm25s.BM25(method="lucene", k1=k1, b=b)
        if self.number:  # bm25s cannot index a corpus without a single word
            self._model.index((self._passages, self.number), create_empty_token=False, show_progress=False)

    def __call__(self, queries: Sequence[str]) -> Float[np.ndarray, "Q N"]:
        """Scores of all passages, 0 where no word is shared; a word that a query repeats counts each time."""
        out = np.zeros((len(queries), self.count), np.float32)
        for row, known in enumerate(self.known(queries)):
            if known:
                out[row] = self._model.get_scores(known)
        return out

    def known(self, queries: Sequence[str]) -> list[list[int]]:
        """The numbers of each query's words, those that the index does not know left out."""
        return [[self.number[word] for word in query if word in self.number] for query in words(queries)]

    def weighted(self, queries: Sequence[Mapping[int, float]]) -> Float[np.ndarray, "Q N"]:
        """Scores where each word's part counts by a weight; queries: word -> weight."""
        out = np.zeros((len(queries), self.count), np.float32)
        for row, query in enumerate(queries):
            for word, weight in query.items():
                postings = slice(*self._model.scores["indptr"][word : word + 2])
                out[row, self._model.scores["indices"][postings]] += (
                    np.float32(weight) * self._model.scores["data"][postings]
                )
        return out

    @cached_property
    def idf(self) -> Float[np.ndarray, " V"]:
        """Each word's inverse document frequency, ln(1 + (N − df + ½) / (df + ½)): what BM25 gives at most."""
        held = np.bincount(self.bags.word, minlength=len(self.number))
        return np.log(1 + (self.count - held + 0.5) / (held + 0.5))

    @cached_property
    def bags(self) -> Bags:
        """Every passage as a bag of words."""
        lengths = np.array([len(passage) for passage in self._passages], np.int64)
        flat = np.fromiter(chain.from_iterable(self._passages), np.int64, lengths.sum())
        passage = np.repeat(np.arange(self.count), lengths)
        vocabulary = max(len(self.number), 1)
        entries, times = np.unique(passage * vocabulary + flat, return_counts=True)
        starts = np.searchsorted(entries, np.arange(self.count + 1) * vocabulary)
        return Bags(entries % vocabulary, times, starts, lengths)


def index(passages: Sequence[str], *, k1: float, b: float) -> Lexical:
    """Index passages; the index scores queries against all of them."""
    return Lexical(passages, k1, b)
