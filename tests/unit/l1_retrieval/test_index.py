"""The live index gives the rankings that baking gives, alone or in a batch."""

from __future__ import annotations

import numpy as np
import pytest
from doubles import Bars

from rag_lab import bake
from rag_lab.l1_retrieval import hybrid
from rag_lab.l1_retrieval.actions import read
from rag_lab.l1_retrieval.index import Index
from rag_lab.types import Collection, Passage, Query

RANDOM = np.random.default_rng(0)
WORDS = [f"word{number}" for number in range(40)]


def text() -> str:
    return " ".join(RANDOM.choice(WORDS, 6))


def unit(rows: int) -> np.ndarray:
    vectors = RANDOM.normal(size=(rows, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


PASSAGES = tuple(Passage(f"p{row}", "", text(), row) for row in range(60))
QUERIES = tuple(Query(f"q{row}", text(), "a", "test", row) for row in range(7))
COLLECTION = Collection("a", PASSAGES, QUERIES, {query.id: {"p1": 1} for query in QUERIES}, 60, 7)
PASSAGE_VECTORS, QUERY_VECTORS = unit(60), unit(7)
RETRIEVER = hybrid.build(
    pool=10, k1=1.5, b=0.75, feedback=hybrid.Feedback(3, 0.5, 6, 0.5), rank_constant=60, late="none"
)


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_it_ranks_as_baking_does(alpha: float) -> None:
    pools = bake.stack({0: RETRIEVER.candidates(COLLECTION, PASSAGE_VECTORS, QUERY_VECTORS, Bars())}, {})
    actions = read("one", [{"alpha": [alpha]}])
    baked = bake.score(COLLECTION, pools, np.zeros((7, 0)), actions, 60)
    index = Index(RETRIEVER, COLLECTION, PASSAGE_VECTORS)
    hits = index.search([query.text for query in QUERIES], QUERY_VECTORS, np.full(7, alpha), 10)
    np.testing.assert_array_equal(hits.passage, bake.rankings(baked, actions, np.zeros(7, int), 10))
    assert (np.diff(hits.score, axis=1) <= 0).all()


def test_alone_and_in_a_batch_each_at_its_own_alpha() -> None:
    index = Index(RETRIEVER, COLLECTION, PASSAGE_VECTORS)
    alphas = np.linspace(0, 1, 7)
    together = index.search([query.text for query in QUERIES], QUERY_VECTORS, alphas, 5)
    for row, query in enumerate(QUERIES):
        alone = index.search([query.text], QUERY_VECTORS[[row]], alphas[[row]], 5)
        np.testing.assert_array_equal(alone.passage[0], together.passage[row])
