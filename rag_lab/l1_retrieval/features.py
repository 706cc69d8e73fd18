"""What is known of a query before any feedback: the words it is made of, and what both rankers say of it.

They cost a whole first round, both searches: who chooses by them has paid for it (`economy.prices`).

Shapes: Q queries, P places of a pool, F features.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Float

from rag_lab.kernels.features import Signals, signals
from rag_lab.kernels.pool import Pool
from rag_lab.l1_retrieval.lexical import Lexical, words

# words: how many the query has, stop words left out. known: the share that the index has. idf: of the known ones.
# lexical_relative: the best score in parts of the most that the query's words could give.
WORDS = ("words", "known", "idf_mean", "idf_max", "lexical_relative")
FEATURES: tuple[str, ...] = (*Signals._fields, *WORDS)

_signals = jax.jit(jax.vmap(signals))


def measure(texts: Sequence[str], index: Lexical, pools: Pool) -> Float[np.ndarray, "Q F"]:
    """The features of queries from their plain pools, float32 and finite; see FEATURES for their names.

    They are as measured; to standardise them is the caller's business.
    """
    of_pools = np.stack([np.asarray(one) for one in _signals(pools.lexical, pools.dense, pools.real)], axis=1)
    of_words = np.zeros((len(texts), len(WORDS)))
    tops = of_pools[:, Signals._fields.index("lexical_top")]
    for row, (query, known) in enumerate(zip(words(texts), index.known(texts), strict=True)):
        of_words[row, 0] = len(query)
        if known:
            idf = index.idf[known]
            of_words[row, 1:] = len(known) / len(query), idf.mean(), idf.max(), tops[row] / idf.sum()
    return np.concatenate([of_pools, of_words], axis=1).astype(np.float32)
