from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.bake import ideal_dcg
from rag_lab.kernels.rank import Quality, order, quality, ranks

CUT = reference.CUT
_quality, _order = jax.jit(quality), jax.jit(order, static_argnums=1)
# What a query's ranked candidates are worth: grades by rank, then those of judged passages that were not found.
grades = st.tuples(
    arrays(np.int32, CUT, elements=st.integers(0, 3)), st.lists(st.integers(0, 3), min_size=0, max_size=6)
)


def measured(ranked: np.ndarray, lost: list[int]) -> Quality:
    """The kernel's metrics of a ranking, given the grades that it missed."""
    judged = [*ranked.tolist(), *lost]
    relevant = sum(grade > 0 for grade in judged)
    ideal = jnp.float32(ideal_dcg(judged))
    return _quality(jnp.array(ranked, jnp.int32), jnp.int32(relevant), ideal)


def test_by_hand() -> None:
    """Grades 0, 2, 0, 1 at ranks 1 to 4; a passage of grade 3 was not found."""
    ranked = np.array([0, 2, 0, 1, 0, 0, 0, 0, 0, 0])
    found = measured(ranked, [3])
    gain = 2 / math.log2(3) + 1 / math.log2(5)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    assert float(found.recall) == pytest.approx(2 / 3, rel=1e-6)
    assert float(found.ndcg) == pytest.approx(gain / ideal, rel=1e-6)
    assert float(found.mrr) == 0.5
    assert int(found.found) == 0b1010  # ranks 2 and 4


def test_a_query_without_a_relevant_passage_has_no_metrics() -> None:
    assert all(math.isnan(float(one)) for one in measured(np.zeros(CUT, np.int32), [0, 0])[:3])


def test_nothing_relevant_found_is_zero() -> None:
    assert [float(one) for one in measured(np.zeros(CUT, np.int32), [1])] == [0, 0, 0, 0]


def test_a_pool_smaller_than_the_cut() -> None:
    found = quality(jnp.array([0, 1], jnp.int32), jnp.int32(2), jnp.float32(ideal_dcg([1, 1])))
    assert [float(one) for one in (found.recall, found.mrr)] == [0.5, 0.5]
    assert float(found.ndcg) == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)), rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(grades)
def test_the_naive_metrics_agree(example: tuple[np.ndarray, list[int]]) -> None:
    ranked, lost = example
    ids = list(range(CUT))
    qrel = dict(enumerate([*ranked.tolist(), *lost]))
    expected = [one(ids, qrel, CUT) for one in (reference.recall_at, reference.ndcg_at, reference.mrr_at)]
    np.testing.assert_allclose([float(one) for one in measured(ranked, lost)[:3]], expected, rtol=1e-5)


def test_trec_eval_agrees() -> None:
    peer = pytest.importorskip("pytrec_eval")
    random = np.random.default_rng(0)
    examples = [(random.integers(0, 4, CUT), random.integers(0, 4, 5).tolist()) for _ in range(20)]
    qrels, run = {}, {}
    for number, (ranked, lost) in enumerate(examples):
        judged = [*ranked.tolist(), *lost]
        qrels[f"q{number}"] = {f"p{place}": grade for place, grade in enumerate(judged)}
        run[f"q{number}"] = {f"p{place}": float(-place) for place in range(CUT)}
    found = peer.RelevanceEvaluator(qrels, {"recall.10", "ndcg_cut.10", "recip_rank"}).evaluate(run)
    for number, (ranked, lost) in enumerate(examples):
        theirs = [found[f"q{number}"][name] for name in ("recall_10", "ndcg_cut_10", "recip_rank")]
        np.testing.assert_allclose([float(one) for one in measured(ranked, lost)[:3]], theirs, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(grades)
def test_bounds_and_the_ideal(example: tuple[np.ndarray, list[int]]) -> None:
    ranked, lost = example
    found = measured(ranked, lost)
    judged = sorted([*ranked.tolist(), *lost], reverse=True)
    if any(judged):
        assert all(0 <= float(one) <= 1 + 1e-6 for one in found[:3])
        best = measured(np.array(judged[:CUT]), judged[CUT:])
        assert float(best.ndcg) == pytest.approx(1, abs=1e-6) and float(best.mrr) == 1


@settings(max_examples=25, deadline=None)
@given(grades, st.integers(0, CUT - 2))
def test_moving_a_better_passage_up_never_harms(example: tuple[np.ndarray, list[int]], place: int) -> None:
    ranked, lost = example
    moved = ranked.copy()
    moved[place : place + 2] = sorted(moved[place : place + 2], reverse=True)
    if any([*ranked.tolist(), *lost]):
        before, after = measured(ranked, lost), measured(moved, lost)
        assert float(after.recall) == float(before.recall)
        assert float(after.ndcg) >= float(before.ndcg) - 1e-6
        assert float(after.mrr) >= float(before.mrr)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, 14, elements=st.integers(0, 4)))
def test_order_is_best_first_with_ties_by_place(scores: np.ndarray) -> None:
    assert _order(jnp.array(scores), CUT).tolist() == reference.top(scores, CUT)


def test_order_puts_padding_last_and_takes_no_more_than_there_is() -> None:
    assert order(jnp.array([-jnp.inf, 0.0, -jnp.inf, 0.5]), 10).tolist() == [3, 1, 0, 2]


def test_ranks_by_hand() -> None:
    real = jnp.array([True, False, True, True])
    assert ranks(jnp.array([0.5, 9.0, 0.7, 0.5]), real).tolist() == [2, 4, 1, 3]


@settings(max_examples=25, deadline=None)
@given(arrays(np.float32, 14, elements=st.integers(0, 4)), arrays(bool, 14))
def test_the_naive_ranks_agree_and_padding_comes_last(scores: np.ndarray, real: np.ndarray) -> None:
    found = np.asarray(jax.jit(ranks)(jnp.array(scores), jnp.array(real)))
    assert found[real].tolist() == reference.places(scores[real]).tolist()
    assert sorted(found.tolist()) == list(range(1, 15)) and (found[~real] > real.sum()).all()


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [(jnp.array(random.integers(0, 3, CUT), jnp.int32), jnp.int32(8), jnp.float32(9)) for _ in range(3)]
    alike(quality, examples)
    alike(lambda scores: order(scores, 4), [(jnp.array(random.random(9), jnp.float32),) for _ in range(3)])
    alike(ranks, [(jnp.array(random.random(9), jnp.float32), jnp.array(random.random(9) < 0.7)) for _ in range(3)])
