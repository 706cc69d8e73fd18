"""RM3: the query's words, joined by those of the first round's best passages.

The relevance model of Lavrenko and Croft (2001, SIGIR), P(w|R) ∝ Σ P(w|passage) · score over the evidence, with
P(w|passage) the word's share of the passage; interpolated with the query by Abdul-Jaleel et al. (2004, TREC):
P'(w) = λ·P(w|query) + (1 − λ)·P(w|R).

Shapes: E passages of evidence.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from rag_lab.l1_retrieval.lexical import Bags


def expand(
    query: Sequence[int],
    evidence: Int[np.ndarray, " E"],
    scores: Float[np.ndarray, " E"],
    bags: Bags,
    *,
    terms: int,
    original: float,
) -> Mapping[int, float]:
    """Word -> weight of the longer query.

    query: its known words, with repetitions. evidence: passages; scores: of the first round, 0 or more (if all are
    0, the passages weigh the same). terms: how many words are taken, those of the highest P(w|R), ties by the
    word's number. original: λ. Weights are in the query's own measure, n·P'(w) for a query of n known words (at
    least 1), so that λ = 1 gives plain BM25.
    """
    total = float(scores.sum())
    share = scores / total if total > 0 else np.full(len(scores), 1 / max(len(scores), 1))
    model: defaultdict[int, float] = defaultdict(float)
    for passage, weight in zip(evidence, share, strict=True):
        entries = slice(bags.starts[passage], bags.starts[passage + 1])
        for word, count in zip(bags.word[entries].tolist(), bags.times[entries].tolist(), strict=True):
            model[word] += float(weight) * count / int(bags.lengths[passage])
    best = sorted(model, key=lambda word: (-model[word], word))[:terms]
    mass = sum(model[word] for word in best)
    length = max(len(query), 1)
    out: defaultdict[int, float] = defaultdict(float)
    for word in query:
        out[word] += original
    for word in best:
        out[word] += length * (1 - original) * model[word] / mass
    return {word: weight for word, weight in out.items() if weight > 0}
