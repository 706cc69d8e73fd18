from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.diversify import NOBODY, alpha_dcg, alpha_ndcg, intra_list, mmr

CANDIDATES, K, TOPICS = 8, 5, 3
_mmr = jax.jit(mmr, static_argnames="k")
_alpha_ndcg, _intra_list = jax.jit(alpha_ndcg), jax.jit(intra_list)
vectors = arrays(np.float32, (CANDIDATES, 3), elements=st.integers(-4, 4)).map(
    lambda v: v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1)
)
relevances = arrays(np.float32, CANDIDATES, elements=st.integers(0, 8).map(lambda n: n / 8))
masks = arrays(np.bool_, CANDIDATES)
balances = st.sampled_from([0.0, 0.25, 0.5, 1.0])
covers = arrays(np.bool_, (CANDIDATES, TOPICS))


def naive_mmr(relevance: np.ndarray, likeness: np.ndarray, real: np.ndarray, balance: float, k: int) -> list[int]:
    taken: list[int] = []
    left = np.flatnonzero(real).tolist()
    while left and len(taken) < k:
        near = {one: max((likeness[one, other] for other in taken), default=0.0) for one in left}
        scores = [np.float32(balance) * relevance[one] - np.float32(1 - balance) * near[one] for one in left]
        taken.append(left.pop(int(np.argmax(scores))))
    return taken + [NOBODY] * (k - len(taken))


def naive_alpha_dcg(topics: np.ndarray, alpha: float) -> float:
    seen, total = np.zeros(topics.shape[1]), 0.0
    for rank, row in enumerate(topics):
        total += sum((1 - alpha) ** seen[topic] for topic in np.flatnonzero(row)) / math.log2(rank + 2)
        seen += row
    return total


def test_mmr_by_hand() -> None:
    """The second best is a copy of the best, so the third comes before it; λ = 1 takes them as they are."""
    relevance = jnp.array([0.9, 0.8, 0.5, 1.0])
    likeness = jnp.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], jnp.float32)
    real = jnp.array([True, True, True, False])
    assert _mmr(relevance, likeness, real, jnp.float32(0.5), k=4).tolist() == [0, 2, 1, NOBODY]
    assert _mmr(relevance, likeness, real, jnp.float32(1), k=2).tolist() == [0, 1]


def test_opposites_are_better_than_strangers() -> None:
    """Likeness may be negative: what points away from the list wins over what has nothing to do with it."""
    likeness = jnp.array([[1, 0, -1], [0, 1, 0], [-1, 0, 1]], jnp.float32)
    chosen = _mmr(jnp.array([1.0, 0.5, 0.5]), likeness, jnp.ones(3, bool), jnp.float32(0.5), k=2)
    assert chosen.tolist() == [0, 2]


def test_diversity_by_hand() -> None:
    likeness = jnp.array([[1, 0.5, 0], [0.5, 1, 0.25], [0, 0.25, 1]])
    assert float(_intra_list(likeness, jnp.ones(3, bool))) == pytest.approx((0.5 + 1 + 0.75) / 3)
    assert float(_intra_list(likeness, jnp.array([True, True, False]))) == 0.5
    assert float(_intra_list(likeness, jnp.array([True, False, False]))) == 0


def test_alpha_ndcg_by_hand() -> None:
    """Topics a; a; a and b: the list gains 1, ½, ¼ + 1 at its ranks; the ideal begins with the last: 2, ½, ¼."""
    judged = jnp.array([[1, 0], [1, 0], [1, 1]], bool)
    gained, ideal = 1 + 0.5 / math.log2(3) + 1.25 / 2, 2 + 0.5 / math.log2(3) + 0.25 / 2
    assert float(alpha_dcg(judged, jnp.float32(0.5))) == pytest.approx(gained)
    assert float(_alpha_ndcg(judged, judged, jnp.float32(0.5))) == pytest.approx(gained / ideal)


def test_without_topics_there_is_no_alpha_ndcg() -> None:
    assert math.isnan(float(_alpha_ndcg(jnp.zeros((2, 2), bool), jnp.zeros((3, 2), bool), jnp.float32(0.5))))


@settings(max_examples=60, deadline=None)
@given(relevances, vectors, masks, balances)
def test_the_loop_agrees_on_mmr(relevance: np.ndarray, vectors: np.ndarray, real: np.ndarray, balance: float) -> None:
    likeness = np.round(vectors @ vectors.T, 3).astype(np.float32)
    found = _mmr(relevance, likeness, real, jnp.float32(balance), k=K).tolist()
    expected = naive_mmr(relevance, likeness, real, balance, K)
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(relevances, vectors, masks)
def test_mmr_takes_real_candidates_once_and_begins_with_the_most_relevant(
    relevance: np.ndarray, vectors: np.ndarray, real: np.ndarray
) -> None:
    found = np.asarray(_mmr(relevance, vectors @ vectors.T, real, jnp.float32(0.5), k=K))
    taken = found[found != NOBODY]
    assert len(taken) == min(K, real.sum()) == len(set(taken.tolist())) and real[taken].all()
    if len(taken):
        assert relevance[taken[0]] == relevance[real].max()


@settings(max_examples=40, deadline=None)
@given(covers, covers, st.sampled_from([0.0, 0.5, 1.0]))
def test_the_loop_agrees_on_alpha_dcg(ranked: np.ndarray, judged: np.ndarray, alpha: float) -> None:
    left, best, seen = list(range(CANDIDATES)), [], np.zeros(TOPICS)
    for _ in range(K):
        gains = [sum((1 - alpha) ** seen[topic] for topic in np.flatnonzero(judged[one])) for one in left]
        best.append(judged[left.pop(int(np.argmax(gains)))])
        seen += best[-1]
    ideal = naive_alpha_dcg(np.array(best), alpha)
    found = float(_alpha_ndcg(ranked[:K], judged, jnp.float32(alpha)))
    if ideal:
        assert found == pytest.approx(naive_alpha_dcg(ranked[:K], alpha) / ideal, rel=1e-5)
    else:
        assert math.isnan(found)


def test_one_topic_without_novelty_is_plain_ndcg() -> None:
    """α = 0 and one topic: the discounted gain of a ranking by binary judgments."""
    ranked = np.array([1, 0, 1, 0, 0], bool)
    expected = (1 + 1 / 2) / (1 + 1 / math.log2(3))
    assert float(_alpha_ndcg(ranked[:, None], ranked[:, None], jnp.float32(0))) == pytest.approx(expected)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    likeness = random.random((3, CANDIDATES, CANDIDATES)).astype(np.float32)
    alike(
        partial(mmr, k=K),
        [
            (jnp.array(random.random(CANDIDATES), jnp.float32), jnp.array(one), jnp.arange(CANDIDATES) < 6,
             jnp.float32(0.5))
            for one in likeness
        ],
    )  # fmt: skip
    alike(intra_list, [(jnp.array(one), jnp.arange(CANDIDATES) < 6) for one in likeness])
    topics = jnp.array(random.random((3, CANDIDATES, TOPICS)) < 0.5)
    alike(alpha_ndcg, [(one[:K], one, jnp.float32(0.5)) for one in topics])
