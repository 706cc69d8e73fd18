"""Sentences with their vectors and words, each made once and kept in memory while a run lasts.

A sentence of a passage is encoded with the passage's title before it, since its subject often stands there alone.
Vectors come from any function of texts: `MiniLM.encode` also keeps them on disk by content, a live encoder is quicker
for few texts.

Shapes: S sentences so far, D dimensions, W words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.encoder import sentences
from rag_lab.types import Passage

Encode = Callable[[Sequence[str]], Float[np.ndarray, "texts D"]]
Count = Callable[[Sequence[str]], Int[np.ndarray, " texts"]]


class Shelf:
    """All sentences met so far: `text[row]`, and rows of the arrays `vectors`, `stems`, `named`, `negated`."""

    def __init__(self, encode: Encode) -> None:
        self._encode = encode
        self._row: dict[str, int] = {}
        self._rows_of: dict[tuple[str, str], Int[np.ndarray, " n"]] = {}
        self.text: list[str] = []
        self.vectors: Float[np.ndarray, "S D"] = np.zeros((0, 0), np.float32)
        self.stems: Int[np.ndarray, "S W"] = np.zeros((0, sentences.WORDS), np.int32)
        self.named: Bool[np.ndarray, "S W"] = np.zeros((0, sentences.WORDS), bool)
        self.negated: Bool[np.ndarray, " S"] = np.zeros(0, bool)

    def rows(self, texts: Sequence[str]) -> Int[np.ndarray, " texts"]:
        """The rows of sentences; those not met yet are encoded together and added."""
        new = [text for text in dict.fromkeys(texts) if text not in self._row]
        if new:
            vectors, words = np.asarray(self._encode(new), np.float32), sentences.words(new)
            self._row.update(zip(new, range(len(self.text), len(self.text) + len(new)), strict=True))
            self.text += new
            self.vectors = np.concatenate([self.vectors, vectors]) if self.vectors.size else vectors
            self.stems = np.concatenate([self.stems, words.stems])
            self.named = np.concatenate([self.named, words.named])
            self.negated = np.concatenate([self.negated, words.negated])
        return np.array([self._row[text] for text in texts], np.int64)

    def passages(self, passages: Iterable[Passage]) -> list[Int[np.ndarray, " n"]]:
        """The rows of each passage's sentences, as they are encoded; new ones of all passages are encoded together."""
        every = list(passages)
        new = {(one.title, one.text): one for one in every if (one.title, one.text) not in self._rows_of}
        texts = {key: in_context(passage) for key, passage in new.items()}
        rows = self.rows([text for each in texts.values() for text in each])
        ends = np.cumsum([len(each) for each in texts.values()])
        self._rows_of.update(zip(texts, np.split(rows, ends[:-1]) if len(ends) else [], strict=True))
        return [self._rows_of[one.title, one.text] for one in every]


def in_context(passage: Passage) -> tuple[str, ...]:
    """The sentences of a passage, each after its title as `Passage.indexed_text` has it."""
    parts = sentences.split(passage.text)
    return tuple(f"{passage.title} {part}" for part in parts) if passage.title else parts
