"""The oracles themselves, on arithmetic done by hand and against libraries of others."""

from __future__ import annotations

import math

import bm25s
import numpy as np
import pytest
import reference

NAN = math.nan


# Text, retrieval, scores


def test_words_are_lowercase_of_two_letters_or_more_without_stop_words() -> None:
    assert reference.words(["The X-ray, of Δx and the CELLS; cells2 a b"]) == [["ray", "δx", "cells", "cells2"]]


def test_bm25_by_hand() -> None:
    passages = ["blood blood cell", "cell", "tax rate"]
    # lengths 3, 1, 2, so the average is 2. "blood": df 1, idf = ln(1 + 2.5 / 1.5); "cell": df 2,
    # idf = ln(1 + 1.5 / 2.5). tf / (tf + 1.5 (0.25 + 0.75 length / 2)):
    # length 3 gives tf / (tf + 2.0625), length 1 gives tf / (tf + 0.9375).
    blood, cell = math.log(8 / 3), math.log(1.6)
    expected = [blood * 2 / 4.0625 + cell / 3.0625, cell / 1.9375, 0]
    assert reference.bm25_scores("Blood of cell", passages) == pytest.approx(expected, rel=1e-14)


def test_bm25_counts_a_word_as_often_as_the_query_repeats_it() -> None:
    passages = ["blood cell", "cell"]
    once = reference.bm25_scores("cell", passages)
    assert reference.bm25_scores("cell cell unknownword", passages) == pytest.approx(2 * once, rel=1e-14)
    assert reference.bm25_scores("the", passages).tolist() == [0, 0]


def test_bm25_agrees_with_bm25s() -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"word{n}" for n in range(40)]
    passages = [" ".join(rng.choice(vocabulary, size)) for size in rng.integers(1, 30, 60)]
    index = bm25s.BM25(method="lucene", k1=1.5, b=0.75)
    index.index(bm25s.tokenize(passages, stopwords="en", show_progress=False), show_progress=False)
    for _ in range(20):
        query = " ".join(rng.choice(vocabulary, 6))
        peer = index.get_scores(reference.words([query])[0])
        np.testing.assert_allclose(reference.bm25_scores(query, passages), peer, rtol=2e-6, atol=1e-6)


def test_pool_unites_both_tops_in_corpus_order_and_zero_scores_count() -> None:
    bm25, dense = np.array([0.0, 3.0, 0.0, 0.0, 1.0]), np.array([0.1, 0.1, 0.3, 0.3, 0.0])
    assert reference.top(bm25, 3) == [1, 4, 0]
    assert reference.top(dense, 3) == [2, 3, 0]
    assert reference.pool(bm25, dense, 2) == [1, 2, 3, 4]
    assert reference.pool(bm25, dense, 3) == [0, 1, 2, 3, 4]
    assert reference.pool(bm25, dense, 99) == [0, 1, 2, 3, 4]


def test_min_max_by_hand() -> None:
    assert reference.min_max(np.array([2.0, 4.0, 3.0])).tolist() == [0, 1, 0.5]
    assert reference.min_max(np.array([7.0, 7.0])).tolist() == [0, 0]
    assert reference.min_max(np.array([])).tolist() == []


def test_fuse_and_ranking_by_hand() -> None:
    bm25, dense = np.array([10.0, 0.0, 5.0, 5.0]), np.array([0.2, 0.6, 0.4, 0.4])
    fused = reference.fuse(bm25, dense, 0.25)
    assert fused == pytest.approx([0.25, 0.75, 0.5, 0.5])
    assert reference.ranking([3, 8, 9, 20], fused) == [8, 9, 20, 3]
    assert reference.ranking([3, 8, 9, 20], reference.fuse(bm25, dense, 1.0)) == [3, 9, 20, 8]


# Metrics

QREL = {"a": 2, "b": 1, "c": 0, "d": 1}


@pytest.mark.parametrize(
    ("ranked", "k", "recall", "ndcg", "mrr"),
    [
        (["a", "b", "d"], 3, 1, 1, 1),
        (["c", "b", "x", "a"], 3, 1 / 3, (1 / math.log2(3)) / (2 + 1 / math.log2(3) + 0.5), 1 / 2),
        (
            ["c", "b", "x", "a"],
            4,
            2 / 3,
            (1 / math.log2(3) + 2 / math.log2(5)) / (2.5 + 1 / math.log2(3)),
            1 / 2,
        ),
        (["x", "c"], 10, 0, 0, 0),
        ([], 10, 0, 0, 0),
        (["x", "a"], 1, 0, 0, 0),
    ],
)
def test_ranking_metrics_by_hand(ranked: list[str], k: int, recall: float, ndcg: float, mrr: float) -> None:
    assert reference.recall_at(ranked, QREL, k) == pytest.approx(recall)
    assert reference.ndcg_at(ranked, QREL, k) == pytest.approx(ndcg)
    assert reference.mrr_at(ranked, QREL, k) == pytest.approx(mrr)


def test_a_query_without_a_relevant_passage_has_no_score() -> None:
    for metric in (reference.recall_at, reference.ndcg_at, reference.mrr_at):
        assert math.isnan(metric(["a"], {"a": 0}, 10))


def test_ranking_metrics_agree_with_trec_eval() -> None:
    trec = pytest.importorskip("pytrec_eval", reason="extra `peers` is not installed")
    rng = np.random.default_rng(1)
    qrels, runs, ranked = {}, {}, {}
    for query in map(str, range(50)):
        judged = rng.permutation(40)[: rng.integers(1, 25)]
        grades = rng.integers(0, 4, len(judged))
        qrels[query] = {f"p{id}": int(grade) for id, grade in zip(judged, grades, strict=True)}
        qrels[query]["p0"] = 1
        ranked[query] = [f"p{id}" for id in rng.permutation(40)[: rng.integers(1, 30)]]
        runs[query] = {id: float(-rank) for rank, id in enumerate(ranked[query])}
    peer = trec.RelevanceEvaluator(qrels, {"recall.10", "ndcg_cut.10", "recip_rank"}).evaluate(runs)
    for query, values in peer.items():
        assert reference.recall_at(ranked[query], qrels[query], 10) == pytest.approx(values["recall_10"], abs=1e-9)
        assert reference.ndcg_at(ranked[query], qrels[query], 10) == pytest.approx(values["ndcg_cut_10"], abs=1e-9)
        assert reference.mrr_at(ranked[query], qrels[query], 40) == pytest.approx(values["recip_rank"], abs=1e-9)


def test_retrieval_cost_by_hand() -> None:
    assert reference.retrieval_cost_usd(0.5, 20) == pytest.approx(2e-6 + 5e-6 + 4e-7)
    assert reference.retrieval_cost_usd(0.0, 20) == pytest.approx(5e-6 + 4e-7)
    assert reference.retrieval_cost_usd(1.0, 20) == pytest.approx(2e-6)


def test_evaluate_by_hand() -> None:
    texts = ["blood cell", "tax rate", "blood", "moon"]
    vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]])
    # "tax": BM25 finds row 1 alone, the vector prefers row 0, then 2, 1, 3. The pool is rows 0 and 1.
    # "the": no word is left, so BM25's top is row 0, by corpus order; the vector's top is row 1.
    out = reference.evaluate(
        texts, ["tax", "the"], [{1: 1}, {0: 0}], vectors, np.array([[1.0, 0.0], [0.0, 1.0]]), [0, 0.5, 1], 1
    )
    np.testing.assert_allclose(out["recall_at_10"], [[1, 1, 1], [NAN] * 3])
    np.testing.assert_allclose(out["mrr_at_10"], [[1 / 2, 1 / 2, 1], [NAN] * 3])
    np.testing.assert_allclose(out["ndcg_at_10"], [[1 / math.log2(3)] * 2 + [1], [NAN] * 3])


# Statistics


def test_bootstrap_draws_whole_clusters_and_seeds() -> None:
    values, clusters = np.array([0.0, 0.0, 0.0, 4.0]), [5, 5, 5, 9]
    means = reference.cluster_bootstrap(values, clusters, 4000, np.random.default_rng(2))
    # Two clusters drawn from two: both small, both large, or one of each (1 / 4, 1 / 4, 1 / 2).
    found, counts = np.unique(means, return_counts=True)
    assert found.tolist() == [0, 1, 4]
    np.testing.assert_allclose(counts / 4000, [0.25, 0.5, 0.25], atol=0.03)

    by_seed = np.array([[0.0, 0.0], [1.0, 1.0]])
    found = np.unique(reference.cluster_bootstrap(by_seed, [0, 1], 200, np.random.default_rng(3)))
    assert found.tolist() == [0, 0.5, 1]


def test_sign_flip_by_hand() -> None:
    # Three clusters with sums 3, 2, 1: |±3 ±2 ±1| reaches 6 in 2 of 8 flips.
    differences, clusters = np.array([1.0, 2.0, 2.0, 1.0]), [0, 0, 1, 2]
    assert reference.exact_sign_flip(differences, clusters) == 2 / 8
    # Sums 3, -2, 1 have a total of 2: of 6, 4, 2, 0 and their negatives only 0 (twice) falls short.
    assert reference.exact_sign_flip(np.array([3.0, -2.0, 1.0]), [0, 1, 2]) == 6 / 8
    # A cluster flips as a whole: one cluster says nothing.
    assert reference.exact_sign_flip(np.ones(9), [0] * 9) == 1


def test_sign_flip_estimates_the_exact_value() -> None:
    rng = np.random.default_rng(4)
    differences, clusters = rng.normal(0.4, 1, 24), np.repeat(np.arange(12), 2)
    exact = reference.exact_sign_flip(differences, clusters)
    estimate = reference.sign_flip(differences, clusters, 10_000, rng)
    assert 0.01 < exact < 0.9
    assert estimate == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 10_000))


def test_sign_flip_is_never_zero() -> None:
    assert reference.sign_flip(np.ones(60), range(60), 99, np.random.default_rng(5)) == 0.01


def test_holm_by_hand() -> None:
    # 0.01 × 4, 0.02 × 3, then 0.03 × 2 = 0.06 and 0.04 × 1, lifted to what came before.
    assert reference.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert reference.holm([0.6, 0.9]).tolist() == [1, 1]
    assert reference.holm([]).tolist() == []


def test_minimum_detectable_effect_by_hand() -> None:
    # 1.959964 + 0.841621 standard errors at 5% and 80%; 2.575829 + 0.841621 at 1%.
    assert reference.minimum_detectable_effect(0.01, 0.05, 0.8) == pytest.approx(0.02801585, abs=1e-8)
    assert reference.minimum_detectable_effect(0.01, 0.01, 0.8) == pytest.approx(0.03417450, abs=1e-8)


# Bandits


def test_thompson_by_hand() -> None:
    rewards = np.array([[0.5, 1.0], [0.25, 0.0]])
    normals = np.array([[0.0, 0.0], [-1.0, 1.0], [0.0, 0.5], [0.0, 0.0]])
    # Prior mean 0.4 worth 4 pulls, noise sd 0.2, so the prior's sd is 0.1.
    # 1. A tie at 0.4: arm 0, reward 0.5: mean 2.1 / 5 = 0.42, sd 0.2 / √5 = 0.0894.
    # 2. 0.3306 against 0.5: arm 1, on query 1, reward 0: mean 1.6 / 5 = 0.32.
    # 3. 0.42 against 0.32 + 0.0447: arm 0, on query 1, reward 0.25: mean 2.35 / 6.
    # 4. Arm 0, on query 0, reward 0.5: mean 2.85 / 7.
    actions, means, pulls = reference.thompson_run(rewards, [0, 1, 1, 0], 0.4, 4, 0.2, normals)
    assert actions.tolist() == [0, 1, 0, 0]
    assert pulls.tolist() == [3, 1]
    assert means == pytest.approx([2.85 / 7, 0.32])


def test_thompson_starts_from_a_prior_of_each_arm() -> None:
    actions, means, pulls = reference.thompson_run(np.zeros((1, 2)), [], np.array([0.1, 0.9]), 1, 1, np.zeros((0, 2)))
    assert (actions.tolist(), means.tolist(), pulls.tolist()) == ([], [0.1, 0.9], [0, 0])


def test_propensity_of_two_arms_is_the_normal_distribution() -> None:
    # P(N(0.3, 0.3²) > N(0, 0.4²)) = Φ(0.3 / 0.5) = 0.725747.
    shares = reference.propensity_by_draws(
        np.array([0.3, 0.0]), np.array([0.3, 0.4]), 200_000, np.random.default_rng(6)
    )
    assert shares == pytest.approx([0.725747, 0.274253], abs=0.004)
