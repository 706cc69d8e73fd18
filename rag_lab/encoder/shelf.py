"""Sentences with their vectors, words and tokens, each made once and kept in memory while a run lasts.

A sentence of a passage is encoded with the passage's title before it, as `Passage.indexed_text` has it, since its
subject often stands there alone. Vectors come from any function of texts: `MiniLM.encode` keeps them on disk by
content, too; a live encoder is quicker for few texts.

Shapes: S sentences so far, D dimensions, W words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from rag_lab.encoder import sentences
from rag_lab.kernels.support import Sentence
from rag_lab.types import Passage

Encode = Callable[[Sequence[str]], Float[np.ndarray, "texts D"]]
Count = Callable[[Sequence[str]], Int[np.ndarray, " texts"]]
Key = tuple[str, str]  # title and sentence; a sentence of no passage has no title


class Shelf:
    """All sentences met so far. said[row]: a sentence without its title; tokens[row]: how many it holds."""

    def __init__(self, encode: Encode, count: Count) -> None:
        self._encode, self.count = encode, count
        self._row: dict[Key, int] = {}
        self._passage: dict[Key, Int[np.ndarray, " n"]] = {}
        self._columns: tuple[np.ndarray, ...] = ()  # those of `Sentence`
        self.said: list[str] = []
        self.tokens: Int[np.ndarray, " capacity"] = np.zeros(0, np.int64)

    def rows(self, texts: Iterable[str]) -> Int[np.ndarray, " texts"]:
        """The rows of bare sentences, added where they are new."""
        return self._rows([("", text) for text in texts])

    def passages(self, passages: Iterable[Passage]) -> list[Int[np.ndarray, " n"]]:
        """The rows of each passage's sentences, in order; all new ones are added together."""
        keys = [(passage.title, passage.text) for passage in passages]
        new = [key for key in dict.fromkeys(keys) if key not in self._passage]
        parts = [[(title, part) for part in sentences.split(text)] for title, text in new]
        rows = self._rows([key for each in parts for key in each])
        ends = np.cumsum([len(each) for each in parts], dtype=int)
        self._passage.update(zip(new, np.split(rows, ends[:-1]), strict=bool(new)))
        return [self._passage[key] for key in keys]

    def take(self, rows: Int[np.ndarray, "*N"]) -> Sentence:
        """The sentences at these rows, as the kernels want them; there must be one on the shelf."""
        vectors, stems, named, negated = (jnp.asarray(column[rows]) for column in self._columns)
        return Sentence(vectors, stems, named, negated)

    def _rows(self, keys: Sequence[Key]) -> Int[np.ndarray, " keys"]:
        new = [key for key in dict.fromkeys(keys) if key not in self._row]
        if new:
            texts = [f"{title} {said}" if title else said for title, said in new]
            more = (np.asarray(self._encode(texts), np.float32), *sentences.words(texts))
            filled = len(self.said)
            held = self._columns or tuple(column[:0] for column in more)
            self._columns = tuple(_put(*each, filled) for each in zip(held, more, strict=True))
            self.tokens = _put(self.tokens, self.count([said for _, said in new]), filled)
            self._row.update(zip(new, range(filled, filled + len(new)), strict=True))
            self.said += [said for _, said in new]
        return np.array([self._row[key] for key in keys], np.int64)


def _put(column: np.ndarray, more: np.ndarray, filled: int) -> np.ndarray:
    """The column with `more` after its first `filled` rows; grown by doubling, so that adding stays cheap."""
    size = filled + len(more)
    if size > len(column):
        grown = np.zeros((padded(size, 1), *column.shape[1:]), column.dtype)
        grown[:filled] = column[:filled]
        column = grown
    column[filled:size] = more
    return column


def padded(size: int, least: int) -> int:
    """The next power of two, at least `least`: what arrays are padded to, so that few programs are compiled."""
    return max(least, 1 << (size - 1).bit_length())
