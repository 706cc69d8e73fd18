"""From texts and vectors to pools, and on to metrics, held against the naive implementation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from doubles import Bars, collection

from rag_lab import bake, wiring
from rag_lab.errors import ConfigError
from rag_lab.kernels.pool import Pool
from rag_lab.l1_retrieval import hybrid
from rag_lab.l1_retrieval.actions import read
from rag_lab.types import Collection

NODE = {
    "_target_": "rag_lab.l1_retrieval.hybrid.build", "pool": 9, "k1": 1.5, "b": 0.75,
    "feedback": {"evidence": 3, "rocchio": 0.5, "terms": 6, "original": 0.5}, "rank_constant": 60, "late": "none",
}  # fmt: skip
PASSAGES, QUERIES, SIZE = 70, 23, 9
RANDOM = np.random.default_rng(0)
WORDS = [f"word{number}" for number in range(60)]
SHARES = 1 / np.arange(1, 61) / (1 / np.arange(1, 61)).sum()  # as words are: few frequent, many rare


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


TEXTS = [" ".join(RANDOM.choice(WORDS, size, p=SHARES)) for size in RANDOM.integers(3, 40, PASSAGES)]
ASKED = [" ".join(RANDOM.choice(WORDS, size, p=SHARES)) for size in RANDOM.integers(1, 8, QUERIES)]
ASKED[4] = "nothing in common"
QRELS = [dict(zip(RANDOM.choice(PASSAGES, 5, replace=False).tolist(), (1, 2, 0, 1, 3), strict=True)) for _ in ASKED]
CORPUS = unit(RANDOM.normal(size=(PASSAGES, 16)) + 0.5)
VECTORS = unit(RANDOM.normal(size=(QUERIES, 16)) + 0.5)


ALPHA = read("alpha", [{"alpha": [step / 10 for step in range(11)]}])


@pytest.fixture(scope="module")
def domain() -> Collection:
    return collection(TEXTS, ASKED, QRELS)


@pytest.fixture(scope="module")
def pools(domain: Collection) -> Pool:
    return wiring.build(NODE, "retriever").candidates(domain, CORPUS, VECTORS, Bars())


def test_the_naive_pools_agree(pools: Pool) -> None:
    assert pools.passage.shape == pools.real.shape == (QUERIES, 2 * SIZE)
    dense = VECTORS.astype(np.float64) @ CORPUS.astype(np.float64).T
    for query, text in enumerate(ASKED):
        lexical = reference.bm25_scores(text, TEXTS)
        real = pools.real[query]
        members = reference.pool(lexical, dense[query], SIZE)
        assert pools.passage[query, real].tolist() == members, query
        np.testing.assert_allclose(pools.lexical[query, real], lexical[members], rtol=1e-5)
        np.testing.assert_allclose(pools.dense[query, real], dense[query, members], atol=1e-6)


def test_from_text_to_metrics_the_naive_implementation_agrees(domain: Collection, pools: Pool) -> None:
    """Every query, every α, three metrics."""
    expected = reference.evaluate(TEXTS, ASKED, QRELS, CORPUS, VECTORS, ALPHA.alpha.tolist(), SIZE)
    baked = bake.score(domain, bake.stack({0: pools}, {}), np.zeros((QUERIES, 0)), ALPHA, 60)
    for field, name in (("recall", "recall_at_10"), ("ndcg", "ndcg_at_10"), ("mrr", "mrr_at_10")):
        np.testing.assert_allclose(getattr(baked, field), expected[name], atol=1e-6)
    assert len(np.unique(baked.ndcg.mean(axis=0))) > 5  # the α do differ here


@pytest.mark.parametrize("expansion", ["rocchio", "rm3"])
def test_the_naive_second_search_agrees(domain: Collection, pools: Pool, expansion: str) -> None:
    """By the first round's best three: other vectors for rocchio, other words for rm3, and a pool of its own."""
    search = hybrid.Search(wiring.build(NODE, "retriever"), domain, lambda: (CORPUS, VECTORS), Bars())
    found = search.pools(expansion, pools)
    held, moved = reference.words(TEXTS), 0
    for query, asked in enumerate(reference.words(ASKED)):
        lexical, dense = reference.search(expansion, asked, VECTORS[query], held, CORPUS, SIZE, 3, 0.5, 6, 0.5)
        real, members = found.real[query], reference.pool(lexical, dense, SIZE)
        assert found.passage[query, real].tolist() == members, query
        np.testing.assert_allclose(found.lexical[query, real], lexical[members], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(found.dense[query, real], dense[members], atol=1e-6)
        moved += members != pools.passage[query, pools.real[query]].tolist()
    assert moved > QUERIES / 2


def test_evidence_is_the_balanced_first_round_s_and_ends_with_the_pool(domain: Collection) -> None:
    node = NODE | {"pool": 1, "feedback": NODE["feedback"] | {"evidence": 5}}
    search = hybrid.Search(wiring.build(node, "retriever"), domain, lambda: (CORPUS, VECTORS), Bars())
    first = search.pools("none", None)
    found = search.evidence(first)
    assert found.passage.shape == (QUERIES, 2)  # the whole pool: two places, of which one may be padding
    assert (found.real.sum(axis=1) == first.real.sum(axis=1)).all() and (found.score[~found.real] == 0).all()
    assert (np.diff(found.score, axis=1) <= 0).all()


def test_what_each_expansion_depends_on() -> None:
    plain: hybrid.Hybrid = wiring.build(NODE, "retriever")
    other = plain._replace(feedback=plain.feedback._replace(terms=7))
    changed = {name: plain.basis(name) != other.basis(name) for name in ("none", "rocchio", "rm3")}
    assert changed == {"none": False, "rocchio": False, "rm3": True}
    assert all(plain.basis(name) != plain._replace(size=3).basis(name) for name in changed)


def test_a_title_is_part_of_the_text(domain: Collection) -> None:
    titled = domain.passages[0]._replace(title="mistletoe")
    one = Collection(domain.domain, (titled, *domain.passages[1:]), domain.queries[:1], domain.qrels, PASSAGES, QUERIES)
    asked = Collection(
        one.domain, one.passages, (domain.queries[0]._replace(text="mistletoe"),), one.qrels, PASSAGES, QUERIES
    )
    found = wiring.build(NODE, "retriever").candidates(asked, CORPUS, VECTORS[:1], Bars())
    scored = found.passage[0, found.lexical[0] > 0]
    assert set(scored.tolist()) == {0}


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each compilation of the search."""
    seen: list[Any] = []
    real = hybrid.pool
    monkeypatch.setattr(hybrid, "pool", lambda *arguments: seen.append(1) or real(*arguments))
    return seen


def test_blocks_share_one_program_and_change_nothing(
    domain: Collection, pools: Pool, traced: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """23 queries in blocks of five, the last of three: one compilation, the same pools, every query counted."""
    monkeypatch.setattr(hybrid, "BLOCK_QUERIES", 5)
    bars = Bars()
    found = wiring.build(NODE, "retriever").candidates(domain, CORPUS, VECTORS, bars)
    assert len(traced) == 1
    assert (found.passage == pools.passage).all() and (found.real == pools.real).all()
    np.testing.assert_allclose(found.dense, pools.dense, atol=1e-6)
    assert [(bar.what, bar.total, bar.done, bar.unit) for bar in bars.opened] == [
        ("search healthcare", 23, 23, "queries")
    ]


def test_a_pool_larger_than_the_corpus_takes_it_all(domain: Collection) -> None:
    found = wiring.build(NODE | {"pool": 100}, "retriever").candidates(domain, CORPUS, VECTORS, Bars())
    assert found.passage.shape == (QUERIES, 2 * PASSAGES)
    assert (found.real.sum(axis=1) == PASSAGES).all()


@pytest.mark.parametrize(("key", "value"), [("pool", 0), ("k1", -1.0), ("b", 1.5), ("pool", "many")])
def test_values_that_are_not_allowed(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^retriever\.{key}: given "):
        wiring.build(NODE | {key: value}, "retriever")
