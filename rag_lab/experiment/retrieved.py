"""What retrieval finds for questions, whichever takes them up: the live index at balanced weights."""

from __future__ import annotations

import numpy as np

from rag_lab.experiment.lab import Lab
from rag_lab.l1_retrieval.index import Hits, Index
from rag_lab.types import Collection

BALANCED = 0.5  # the lexical weight α
BLOCK_QUERIES = 128  # searched at once: bounds memory at block × passages × 8 bytes


def search(lab: Lab, collection: Collection, depth: int) -> Hits:
    """The best passages of each of the collection's queries, best first, and their fused scores."""
    index = Index(lab.retriever, collection, lab.encoder.passages(collection, lab.progress))
    vectors, found = lab.encoder.queries(collection, lab.progress), []
    for start in range(0, len(vectors), BLOCK_QUERIES):
        part = slice(start, start + BLOCK_QUERIES)
        texts = [query.text for query in collection.queries[part]]
        found.append(index.search(texts, vectors[part], np.full(len(texts), BALANCED), depth))
    return Hits(*(np.concatenate(each) for each in zip(*found, strict=True)))
