"""BM25 scores of every passage for each query, by bm25s.

Lucene's variant of BM25 (Robertson and Zaragoza 2009; Kamphuis et al. 2020, ECIR, for the variants), with
bm25s' own tokenisation and English stop words and no stemming.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

STOPWORDS = "en"


def index(
    passages: Sequence[str], *, k1: float, b: float
) -> Callable[[Sequence[str]], Float[np.ndarray, "queries passages"]]:
    """Index passages; the function returned scores queries against all of them, 0 where no word is shared."""
    import bm25s  # importing it tries JAX out, which would start a backend

    model = bm25s.BM25(method="lucene", k1=k1, b=b)
    tokens = bm25s.tokenize(list(passages), stopwords=STOPWORDS, return_ids=False, show_progress=False)
    count = len(passages)
    if not any(tokens):  # bm25s cannot index a corpus without a single word
        return lambda queries: np.zeros((len(queries), count), np.float32)
    model.index(tokens, show_progress=False)

    def scores(queries: Sequence[str]) -> Float[np.ndarray, "queries passages"]:
        words = bm25s.tokenize(list(queries), stopwords=STOPWORDS, return_ids=False, show_progress=False)
        out = np.zeros((len(queries), count), np.float32)
        for row, query in enumerate(words):
            known = [word for word in query if word in model.vocab_dict]
            if known:
                out[row] = model.get_scores(known)
        return out

    return scores
