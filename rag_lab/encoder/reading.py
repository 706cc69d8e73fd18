"""A shelf for sentences, whatever encodes the queries: precomputed vectors hold none of a passage's sentences."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

from rag_lab.encoder import wordpiece
from rag_lab.encoder.minilm import MiniLM
from rag_lab.encoder.shelf import Shelf
from rag_lab.types import Encoder, ProgressFactory

MAX_TOKENS, BATCH_TOKENS = 256, 512  # those of conf/encoder/minilm.yaml, for when another encoder is chosen


def open_shelf(encoder: Encoder, progress: ProgressFactory) -> Shelf:
    """An empty shelf on MiniLM: the run's own encoder where it is one. Vectors are kept on disk by content."""
    model = encoder if isinstance(encoder, MiniLM) else MiniLM(MAX_TOKENS, BATCH_TOKENS, "float32")

    @cache
    def tokenizer() -> Tokenizer:
        return wordpiece.load(None, progress)

    def count(texts: Sequence[str]) -> Int[np.ndarray, " texts"]:
        encoded = tokenizer().encode_batch_fast(list(texts), add_special_tokens=False)
        return np.array([len(one.ids) for one in encoded], np.int64)

    return Shelf(partial(model.encode, progress=progress, what="sentences"), count)
