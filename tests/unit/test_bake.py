"""Baking, held against the naive implementation query by query and action by action."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import reference
from doubles import Bars, collection

from rag_lab import bake
from rag_lab.errors import ConfigError
from rag_lab.kernels.pool import Pool
from rag_lab.l1_retrieval import hybrid
from rag_lab.l1_retrieval.actions import EXPANSIONS, FUSIONS, WHOLE, read
from rag_lab.l1_retrieval.features import FEATURES
from rag_lab.types import ActionSet, Collection, ProgressFactory

QUERIES, PASSAGES, SIZE, K = 40, 30, 8, 60.0
RANDOM = np.random.default_rng(0)
ALPHA = read("alpha", [{"alpha": [step / 10 for step in range(11)]}])
RICH = read(
    "rich",
    [
        {"alpha": [0, 0.5, 1]},
        {"alpha": [0.3], "expansion": ["rm3", "none", "rocchio"], "late": [0, 0.4, 1], "depth": ["all", 3]},
        {"alpha": [0.2, 0.7], "fusion": ["reciprocal_rank"], "expansion": ["rocchio", "none"], "late": [0, 0.5]},
    ],
)


def judgments(number: int) -> dict[int, int]:
    """Graded, some of them 0; every tenth query has no relevant passage and one has no judgment at all."""
    rows = RANDOM.choice(PASSAGES, 12, replace=False)
    if number % 10 == 0:
        return {} if number == 0 else dict.fromkeys(rows[:3].tolist(), 0)
    return dict(zip(rows.tolist(), RANDOM.integers(0, 4, 12).tolist(), strict=True)) | {int(rows[0]): 2}


QRELS = [judgments(number) for number in range(QUERIES)]
# As real scores are: BM25 is 0 for many passages, and now and then for all; cosines are close together.
LEXICAL = (RANDOM.random((3, QUERIES, PASSAGES)) * RANDOM.integers(0, 2, (3, QUERIES, PASSAGES)) * 9).astype(np.float32)
DENSE = (0.2 + 0.5 * RANDOM.random((3, QUERIES, PASSAGES))).astype(np.float32)
LATE = (0.5 + 0.4 * RANDOM.random((QUERIES, PASSAGES))).astype(np.float32)
LEXICAL[:, 3] = 0
DENSE[:, 3] = RANDOM.integers(0, 4, PASSAGES) / 4  # ties, which the other, constant list does not break
DENSE[:, 5] = 0.5
LEXICAL[:, 7] = DENSE[:, 7] = 1


def pool(expansion: int) -> Pool:
    """As the retriever gives them: candidates in corpus order, padded by repeating one of them."""
    passage = np.zeros((QUERIES, 2 * SIZE), np.int32)
    real = np.zeros((QUERIES, 2 * SIZE), bool)
    for row in range(QUERIES):
        members = reference.pool(LEXICAL[expansion, row], DENSE[expansion, row], SIZE)
        passage[row] = sorted([*members, *[members[-1]] * (2 * SIZE - len(members))])
        real[row, : len(members)] = True
    rows = np.arange(QUERIES)[:, None]
    return Pool(passage, LEXICAL[expansion][rows, passage], DENSE[expansion][rows, passage], real)


POOLS = [pool(expansion) for expansion in range(3)]
ROWS = np.arange(QUERIES)[:, None]
SCORED = {number: LATE[ROWS, one.passage] for number, one in enumerate(POOLS)}
FEATURE = np.zeros((QUERIES, 2), np.float32)


@pytest.fixture(scope="module")
def corpus() -> Collection:
    return collection([f"text {row}" for row in range(PASSAGES)], [f"query {row}" for row in range(QUERIES)], QRELS)


@pytest.fixture(scope="module")
def baked(corpus: Collection) -> bake.Baked:
    return bake.score(corpus, bake.stack({0: POOLS[0]}, {}), FEATURE, ALPHA, K)


@pytest.fixture(scope="module")
def rich(corpus: Collection) -> bake.Baked:
    return bake.score(corpus, bake.stack(dict(enumerate(POOLS)), SCORED), FEATURE, RICH, K)


def naive_ranking(query: int, actions: ActionSet, action: int) -> list[int]:
    """The ranking of one action, by the second implementation."""
    _, alpha, expansion, fusion, late, depth = (
        column[action] if number else 0 for number, column in enumerate(actions)
    )
    lexical, dense = LEXICAL[expansion, query], DENSE[expansion, query]
    members = reference.pool(lexical, dense, SIZE)
    scores = reference.act(
        lexical[members], dense[members], LATE[query, members], alpha, FUSIONS[fusion] == "reciprocal_rank", late,
        depth, K,
    )  # fmt: skip
    return [
        row for row, score in zip(reference.ranking(members, scores), sorted(scores)[::-1], strict=True) if score >= 0
    ]


def test_ideal_dcg_by_hand() -> None:
    assert bake.ideal_dcg([0, 1, 3, -1]) == pytest.approx(3 + 1 / math.log2(3))
    assert bake.ideal_dcg([1] * 12) == pytest.approx(sum(1 / math.log2(rank + 1) for rank in range(1, 11)))
    assert bake.ideal_dcg([]) == bake.ideal_dcg([0, -1]) == 0


@pytest.mark.parametrize("name", ["alpha", "rich"])
@pytest.mark.parametrize(
    ("field", "metric"),
    [("recall", reference.recall_at), ("ndcg", reference.ndcg_at), ("mrr", reference.mrr_at)],
)
def test_the_naive_metrics_agree_for_every_query_and_action(
    baked: bake.Baked, rich: bake.Baked, name: str, field: str, metric: object
) -> None:
    actions, found = (ALPHA, getattr(baked, field)) if name == "alpha" else (RICH, getattr(rich, field))
    assert found.shape == (QUERIES, len(actions.alpha))
    for query in range(QUERIES):
        for action in range(len(actions.alpha)):
            expected = metric(naive_ranking(query, actions, action), QRELS[query], reference.CUT)  # type: ignore[operator]
            assert found[query, action] == pytest.approx(expected, abs=1e-6, nan_ok=True), (query, action)


def test_a_larger_set_leaves_the_smaller_one_s_numbers_as_they_are(baked: bake.Baked, rich: bake.Baked) -> None:
    np.testing.assert_array_equal(rich.recall[:, :3], baked.recall[:, [0, 5, 10]])
    np.testing.assert_array_equal(rich.ndcg[:, :3], baked.ndcg[:, [0, 5, 10]])


def test_absent_is_not_zero(baked: bake.Baked) -> None:
    """Queries without a relevant passage have no metric; a query whose passages were missed has 0."""
    unjudged = [row for row, qrel in enumerate(QRELS) if not any(qrel.values())]
    assert unjudged == [0, 10, 20, 30]
    for found in (baked.recall, baked.ndcg, baked.mrr):
        assert np.flatnonzero(np.isnan(found).all(axis=1)).tolist() == unjudged
        assert np.isfinite(np.delete(found, unjudged, axis=0)).all()
    assert np.isnan(baked.pools.late).all()


def test_judgments_below_zero_and_of_passages_that_are_not_there() -> None:
    """The first are not relevant; the second are, and never found."""
    one = collection(["a", "b"], ["q"], [{0: -1, 1: 2, 7: 2}])
    scores = np.array([[1.0, 0.0]], np.float32)
    pools = bake.stack({0: Pool(np.array([[0, 1]], np.int32), scores, scores, np.ones((1, 2), bool))}, {})
    found = bake.score(one, pools, FEATURE[:1], ALPHA, K)
    np.testing.assert_allclose(found.recall, 1 / 2)
    np.testing.assert_allclose(found.ndcg, (2 / math.log2(3)) / (2 + 2 / math.log2(3)), rtol=1e-6)
    np.testing.assert_allclose(found.mrr, 0.5)


def test_one_program_bakes_all_queries_and_actions(corpus: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced once for all actions and blocks of queries, and not again for other collections or values."""
    traced, real = [], bake.quality
    monkeypatch.setattr(bake, "quality", lambda *arguments: traced.append(1) or real(*arguments))
    monkeypatch.setattr(bake, "BLOCK_QUERIES", 9)
    cut = Pool(*(part[:31] for part in POOLS[0]))
    small = collection([passage.text for passage in corpus.passages], ["q"] * 31, QRELS[:31])
    bake.score(small, bake.stack({0: cut}, {}), FEATURE[:31], ALPHA, K)
    bake.score(corpus, bake.stack({0: POOLS[0]}, {}), FEATURE, ALPHA._replace(alpha=ALPHA.alpha[::-1]), K)
    assert len(traced) == 1


def test_blocks_change_nothing(corpus: Collection, rich: bake.Baked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bake, "BLOCK_QUERIES", 7)
    again = bake.score(corpus, rich.pools, FEATURE, RICH, K)
    for field in ("recall", "ndcg", "mrr"):
        np.testing.assert_allclose(getattr(again, field), getattr(rich, field), rtol=1e-6)


def test_an_action_without_its_pool_is_refused(corpus: Collection) -> None:
    with pytest.raises(KeyError):
        bake.score(corpus, bake.stack({0: POOLS[0]}, {}), FEATURE, RICH, K)


@pytest.mark.parametrize("depth", [5, 12])
def test_the_naive_rankings_agree(rich: bake.Baked, depth: int) -> None:
    chosen = np.arange(QUERIES) % len(RICH.alpha)
    ranked = bake.rankings(rich, RICH, chosen, depth)
    for query, action in enumerate(chosen):
        expected = naive_ranking(query, RICH, action)[:depth]
        assert ranked[query].tolist() == expected + [-1] * (depth - len(expected)), query


# From texts to arrays on disk

WORDS = [f"word{number}" for number in range(25)]
TEXTS = [" ".join(RANDOM.choice(WORDS, 9)) for _ in range(PASSAGES)]
ASKED = [" ".join(RANDOM.choice(WORDS, 4)) for _ in range(QUERIES)]
RETRIEVER = hybrid.build(
    pool=SIZE, k1=1.5, b=0.75, feedback=hybrid.Feedback(3, 0.5, 6, 0.5), rank_constant=K, late="none"
)


class Encoder:
    """Random unit vectors, and a count of how often the passages' were asked for."""

    def __init__(self) -> None:
        random = np.random.default_rng(1)
        self.rows = [random.normal(size=(count, 6)).astype(np.float32) for count in (PASSAGES, QUERIES)]
        self.rows = [one / np.linalg.norm(one, axis=1, keepdims=True) for one in self.rows]
        self.asked = 0

    def identity(self, collection: Collection) -> str:
        return "random"

    def check(self, collection: Collection, progress: ProgressFactory) -> None: ...

    def passages(self, collection: Collection, progress: ProgressFactory) -> np.ndarray:
        self.asked += 1
        return self.rows[0]

    def queries(self, collection: Collection, progress: ProgressFactory) -> np.ndarray:
        return self.rows[1]


def prepared(folder: Path, actions: ActionSet, encoder: Encoder, **changes: object) -> bake.Made:
    one = collection(TEXTS, ASKED, QRELS)
    return bake.prepare(one, encoder, RETRIEVER._replace(**changes), actions, folder, Bars())


def expanded(**grid: list) -> ActionSet:
    return read("more", [{"alpha": [0, 0.5, 1], **grid}])


def files(folder: Path) -> dict[str, int]:
    """How many files of each kind there are."""
    kinds = [path.name.partition("-")[0] for path in folder.iterdir()]
    return {kind: kinds.count(kind) for kind in ("pools", "features", "metrics")}


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    encoder = Encoder()
    first = prepared(tmp_path, ALPHA, encoder)
    assert first.fresh and encoder.asked == 1 and files(tmp_path) == {"pools": 1, "features": 1, "metrics": 1}
    again = prepared(tmp_path, ALPHA, encoder)
    assert not again.fresh and again.name == first.name and encoder.asked == 1
    for kept, made in zip((*again.baked[:4], *again.baked.pools), (*first.baked[:4], *first.baked.pools), strict=True):
        assert kept.dtype == made.dtype
        np.testing.assert_array_equal(kept, made)
    assert again.baked.features.shape == (QUERIES, len(FEATURES)) and np.isfinite(again.baked.features).all()


def test_only_what_the_asked_set_needs_is_made(tmp_path: Path) -> None:
    """α alone searches once; a set with more adds its second searches; another grid of the same adds none."""
    encoder = Encoder()
    assert prepared(tmp_path, ALPHA, encoder).baked.pools.expansion.tolist() == [0]
    wide = prepared(tmp_path, expanded(expansion=["rm3"]), encoder)
    assert wide.baked.pools.expansion.tolist() == [0, 2] and files(tmp_path)["pools"] == 2
    prepared(tmp_path, expanded(expansion=["rm3", "rocchio"]), encoder)
    assert files(tmp_path)["pools"] == 3
    searched = encoder.asked
    other = prepared(tmp_path, expanded(expansion=["none", "rocchio", "rm3"], depth=[3]), encoder)
    assert other.fresh and encoder.asked == searched
    assert files(tmp_path) == {"pools": 3, "features": 1, "metrics": 4}


def test_a_setting_makes_anew_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    actions, encoder = expanded(expansion=["none", "rocchio", "rm3"]), Encoder()
    prepared(tmp_path, actions, encoder)
    fewer = RETRIEVER.feedback._replace(terms=2)
    assert prepared(tmp_path, actions, encoder, feedback=fewer).fresh
    assert files(tmp_path) == {"pools": 4, "features": 1, "metrics": 2}
    prepared(tmp_path, actions, encoder, rank_constant=10.0)
    assert files(tmp_path) == {"pools": 4, "features": 1, "metrics": 3}
    prepared(tmp_path, actions, encoder, k1=1.2)
    assert files(tmp_path) == {"pools": 7, "features": 2, "metrics": 4}


def test_late_interaction_that_the_retriever_does_without(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^retriever\.late=none, but actions\.more has late interaction; give "):
        prepared(tmp_path, expanded(late=[0.3]), Encoder())
    assert list(tmp_path.iterdir()) == []


def test_the_name_depends_on_every_part_and_on_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {bake.identity("a", "b"), bake.identity("b", "a"), bake.identity("a"), bake.identity("a", "b", "")}
    assert len(names) == 4 and bake.identity("a", "b") in names
    monkeypatch.setattr(bake, "VERSION", "another")
    assert bake.identity("a", "b") not in names


def test_the_numbers_of_expansions_are_their_places() -> None:
    assert EXPANSIONS == ("none", "rocchio", "rm3") and ALPHA.depth.tolist() == [WHOLE] * 11
