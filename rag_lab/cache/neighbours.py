"""The semantic layer: a question that nobody asked before is served with what a near one found.

It keeps no values, only the questions of a collection with their vectors, and names the nearest where cosine and gate
admit it: the layer then looks under that question's key, so that lives, index and settings hold as ever. What is lent
is not stored again: a question never lives on what was lent to it, nor lends it on. The questions are this process'
own; those that were asked longest ago leave first.

Shapes: Q questions asked, N rows kept (a power of two), D dimensions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.cache.gate import admits
from rag_lab.cache.keys import normalise
from rag_lab.kernels.similarity import similarity

ABSENT = -1  # a row that is none


class Terms(NamedTuple):
    """On what terms a calibrated layer lends. threshold: the least cosine; overlap: the gate's; questions: kept of each
    collection at most; judged: by domain and normalised question its relevant passages, where they are known: they
    decide nothing, and tell which hits were false."""

    threshold: float
    overlap: float
    questions: int
    judged: Mapping[str, Mapping[str, frozenset[str]]]

    def is_false(self, domain: str, asked: str, lender: str) -> bool:
        """Whether both are judged, and differ in what they want."""
        judged = self.judged.get(domain, {})
        one, other = judged.get(normalise(asked)), judged.get(normalise(lender))
        return one is not None and other is not None and one != other


class Neighbours:
    """The questions of one collection that found something of their own. Safe for threads."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lock = Lock()
        self._rows: OrderedDict[str, int] = OrderedDict()
        self._texts: list[str] = []
        self._free: list[int] = []
        self._filled: Bool[np.ndarray, " N"] = np.zeros(0, bool)
        self._vectors: Float[np.ndarray, "N D"] = np.zeros((0, 0), np.float32)

    def add(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"]) -> None:
        """Remember these questions, as the latest ones."""
        with self._lock:
            for text, vector in zip(texts, vectors, strict=True):
                row = self._row(normalise(text), len(vector))
                self._texts[row], self._vectors[row] = text, vector

    def near(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"]) -> list[str | None]:
        """The nearest other question to each, None where it is not admitted."""
        with self._lock:
            if not self._texts or not texts:
                return [None] * len(texts)
            rows = 1 << (len(texts) - 1).bit_length()
            asked, own = np.zeros((rows, vectors.shape[1]), np.float32), np.full(rows, ABSENT, np.int32)
            asked[: len(texts)] = vectors
            own[: len(texts)] = [self._rows.get(normalise(text), ABSENT) for text in texts]
            places, cosines = map(np.asarray, _nearest(asked, own, self._vectors, self._filled))
            found = [self._texts[place] for place in places[: len(texts)]]
        floor, overlap = self._terms.threshold, self._terms.overlap
        return [
            other if cosine >= floor and admits(text, other, overlap) else None
            for text, other, cosine in zip(texts, found, cosines, strict=False)
        ]

    def drop(self, texts: Iterable[str]) -> None:
        """Forget these questions."""
        with self._lock:
            for text in texts:
                row = self._rows.pop(normalise(text), None)
                if row is not None:
                    self._filled[row] = False
                    self._free.append(row)

    def _row(self, name: str, dimensions: int) -> int:
        """The row of a question: its own, a free one, or that of the one that leaves."""
        row = self._rows.pop(name, None)
        if row is None and self._free:
            row = self._free.pop()
        elif row is None and len(self._rows) == self._terms.questions:
            _, row = self._rows.popitem(last=False)
        elif row is None:
            row = len(self._texts)
            self._texts.append("")
            if row == len(self._vectors):  # sizes are few, so that little is compiled
                self._vectors = np.resize(self._vectors, (max(1, 2 * row), dimensions))
                self._filled = np.concatenate([self._filled, np.zeros(len(self._vectors) - row, bool)])
        self._rows[name] = row
        self._filled[row] = True
        return row


@jax.jit
def _nearest(
    asked: Float[Array, "Q D"], own: Int[Array, " Q"], kept: Float[Array, "N D"], filled: Bool[Array, " N"]
) -> tuple[Int[Array, " Q"], Float[Array, " Q"]]:
    """The row of the nearest question to each that is not in its own row, and its cosine."""
    rows = jnp.arange(len(kept))

    def one(vector: Float[Array, " D"], own: Int[Array, ""]) -> tuple[Int[Array, ""], Float[Array, ""]]:
        cosines = jnp.where(filled & (rows != own), similarity(vector, kept), -jnp.inf)
        best = jnp.argmax(cosines)
        return best, cosines[best]

    return jax.vmap(one)(asked, own)
