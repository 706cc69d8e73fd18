"""A quick encoder for tests: the bag of a text's content words, hashed into a few dimensions, at unit length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Shelf

DIMENSIONS = 256


def encode(texts: Sequence[str]) -> np.ndarray:
    vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
    for row, text in enumerate(texts):
        for word, _ in sentences.content(text):
            vectors[row, word % DIMENSIONS] += 1
        if not vectors[row].any():
            vectors[row, 0] = 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def count(texts: Sequence[str]) -> np.ndarray:
    """Words and signs: as a tokenizer, parts add up to the whole."""
    return np.array([len(text.split()) for text in texts], np.int64)


def shelf() -> Shelf:
    return Shelf(encode, count)
