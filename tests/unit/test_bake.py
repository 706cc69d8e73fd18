"""Baking, held against the naive implementation query by query and α by α."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import reference
from doubles import collection

from rag_lab import bake
from rag_lab.kernels.pool import Pool
from rag_lab.types import Collection

QUERIES, PASSAGES, SIZE = 40, 30, 8
RANDOM = np.random.default_rng(0)


def judgments(number: int) -> dict[int, int]:
    """Graded, some of them 0; every tenth query has no relevant passage and one has no judgment at all."""
    rows = RANDOM.choice(PASSAGES, 12, replace=False)
    if number % 10 == 0:
        return {} if number == 0 else dict.fromkeys(rows[:3].tolist(), 0)
    return dict(zip(rows.tolist(), RANDOM.integers(0, 4, 12).tolist(), strict=True)) | {int(rows[0]): 2}


QRELS = [judgments(number) for number in range(QUERIES)]
# As real scores are: BM25 is 0 for many passages, and now and then for all; cosines are close together.
LEXICAL = (RANDOM.random((QUERIES, PASSAGES)) * RANDOM.integers(0, 2, (QUERIES, PASSAGES)) * 9).astype(np.float32)
DENSE = (0.2 + 0.5 * RANDOM.random((QUERIES, PASSAGES))).astype(np.float32)
LEXICAL[3] = 0
DENSE[3] = RANDOM.integers(0, 4, PASSAGES) / 4  # ties, which the other, constant list does not break
DENSE[5] = 0.5
LEXICAL[7] = DENSE[7] = 1


def pools() -> Pool:
    """As the retriever gives them: candidates in corpus order, padded by repeating one of them."""
    passage = np.zeros((QUERIES, 2 * SIZE), np.int32)
    real = np.zeros((QUERIES, 2 * SIZE), bool)
    for row in range(QUERIES):
        members = reference.pool(LEXICAL[row], DENSE[row], SIZE)
        passage[row] = sorted([*members, *[members[-1]] * (2 * SIZE - len(members))])
        real[row, : len(members)] = True
    rows = np.arange(QUERIES)[:, None]
    return Pool(passage, LEXICAL[rows, passage], DENSE[rows, passage], real)


@pytest.fixture(scope="module")
def corpus() -> Collection:
    return collection(
        [f"text {row}" for row in range(PASSAGES)], [f"query {row}" for row in range(QUERIES)], QRELS
    )


@pytest.fixture(scope="module")
def baked(corpus: Collection) -> bake.Baked:
    return bake.score(corpus, pools())


def naive_ranking(query: int, alpha: float) -> list[int]:
    members = reference.pool(LEXICAL[query], DENSE[query], SIZE)
    fused = reference.fuse(LEXICAL[query, members], DENSE[query, members], alpha)
    return reference.ranking(members, fused)


def test_the_actions_are_the_protocols() -> None:
    assert bake.ALPHAS.tolist() == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]


def test_ideal_dcg_by_hand() -> None:
    assert bake.ideal_dcg([0, 1, 3, -1]) == pytest.approx(3 + 1 / math.log2(3))
    assert bake.ideal_dcg([1] * 12) == pytest.approx(sum(1 / math.log2(rank + 1) for rank in range(1, 11)))
    assert bake.ideal_dcg([]) == bake.ideal_dcg([0, -1]) == 0


@pytest.mark.parametrize(
    ("field", "metric"),
    [("recall", reference.recall_at), ("ndcg", reference.ndcg_at), ("mrr", reference.mrr_at)],
)
def test_the_naive_metrics_agree_for_every_query_and_action(baked: bake.Baked, field: str, metric: object) -> None:
    found = getattr(baked, field)
    assert found.shape == (QUERIES, len(bake.ALPHAS))
    for query in range(QUERIES):
        for action, alpha in enumerate(bake.ALPHAS):
            expected = metric(naive_ranking(query, alpha), QRELS[query], reference.CUT)  # type: ignore[operator]
            assert found[query, action] == pytest.approx(expected, abs=1e-6, nan_ok=True), (query, alpha)


def test_absent_is_not_zero(baked: bake.Baked) -> None:
    """Queries without a relevant passage have no metric; a query whose passages were missed has 0."""
    unjudged = [row for row, qrel in enumerate(QRELS) if not any(qrel.values())]
    assert unjudged == [0, 10, 20, 30]
    for found in (baked.recall, baked.ndcg, baked.mrr):
        assert np.flatnonzero(np.isnan(found).all(axis=1)).tolist() == unjudged
        assert np.isfinite(np.delete(found, unjudged, axis=0)).all()


def test_judgments_below_zero_are_not_relevant() -> None:
    one = collection(["a", "b"], ["q"], [{0: -1, 1: 2}])
    scores = np.array([[1.0, 0.0]], np.float32)
    found = bake.score(one, Pool(np.array([[0, 1]], np.int32), scores, scores, np.ones((1, 2), bool)))
    np.testing.assert_allclose(found.recall, 1)
    np.testing.assert_allclose(found.ndcg, 1 / math.log2(3), rtol=1e-6)
    np.testing.assert_allclose(found.mrr, 0.5)


def test_one_program_bakes_all_queries_and_actions(corpus: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced once for all α and queries, and not again for other collections of the same shape."""
    traced, real = [], bake.quality
    monkeypatch.setattr(bake, "quality", lambda *arguments: traced.append(1) or real(*arguments))
    cut = Pool(*(part[:31] for part in pools()))
    small = collection([passage.text for passage in corpus.passages], ["q"] * 31, QRELS[:31])
    bake.score(small, cut)
    bake.score(small, cut._replace(dense=-cut.dense))
    assert len(traced) == 1


@pytest.mark.parametrize("depth", [5, 12])
def test_the_naive_rankings_agree(baked: bake.Baked, depth: int) -> None:
    alphas = bake.ALPHAS[np.arange(QUERIES) % len(bake.ALPHAS)]
    ranked = bake.rankings(baked, alphas, depth)
    for query, alpha in enumerate(alphas):
        expected = naive_ranking(query, alpha)[:depth]
        assert ranked[query].tolist() == expected + [-1] * (depth - len(expected)), query


def test_keeping_and_loading(baked: bake.Baked, tmp_path: Path) -> None:
    assert bake.load(tmp_path / "baked", "one") is None
    bake.keep(tmp_path / "baked", "one", baked)
    again = bake.load(tmp_path / "baked", "one")
    assert again is not None
    for kept, given in zip(again, baked, strict=True):
        assert kept.dtype == given.dtype
        np.testing.assert_array_equal(kept, given)
    assert [path.name for path in (tmp_path / "baked").iterdir()] == ["one.npz"]


def test_an_interrupted_keeping_leaves_nothing(
    baked: bake.Baked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path, **arrays: np.ndarray) -> None:
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", broken)
        with pytest.raises(KeyboardInterrupt):
            bake.keep(tmp_path, "one", baked)
    assert list(tmp_path.iterdir()) == []
    assert bake.load(tmp_path, "one") is None


def test_the_name_depends_on_every_part_and_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {bake.identity("a", "b"), bake.identity("b", "a"), bake.identity("a"), bake.identity("a", "b", "")}
    assert len(names) == 4 and bake.identity("a", "b") in names
    monkeypatch.setattr(bake, "VERSION", "another")
    assert bake.identity("a", "b") not in names
