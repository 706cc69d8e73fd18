"""The promise of a semantic layer against exact binomial sums, and the threshold that keeps it."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.cache.promise import Met, Semantic, bounds, rate, threshold

PROMISE = Semantic(True, (0.5, 0.9), 0.5, 0.1, 0.95, 16)


@settings(deadline=None)  # the first example imports scipy
@given(st.integers(1, 40), st.data())
def test_bounds_are_the_exact_binomial_ones(hits: int, data: st.DataObject) -> None:
    false, tail = data.draw(st.integers(0, hits)), data.draw(st.floats(0.001, 0.2))
    low, high = bounds(false, hits, tail)

    def at_most(count: int, p: float) -> float:
        return sum(comb(hits, n) * p**n * (1 - p) ** (hits - n) for n in range(count + 1))

    assert 0 <= low <= false / hits <= high <= 1
    assert high == 1 if false == hits else at_most(false, high) == pytest.approx(tail, rel=1e-6)
    assert low == 0 if false == 0 else 1 - at_most(false - 1, low) == pytest.approx(tail, rel=1e-6)


def test_no_hit_bounds_nothing() -> None:
    assert bounds(0, 0, 0.025) == (0.0, 1.0)


def test_hits_and_false_hits_by_hand() -> None:
    met = Met(np.array([0.95, 0.95, 0.6, 0.99]), np.array([1, 1, 1, 0], bool), np.array([1, 0, 1, 0], bool))
    assert [rate(met, at)[:3] for at in (0.5, 0.9)] == [(0.5, 3, 1), (0.9, 2, 1)]
    assert threshold(met, PROMISE) is None


def test_the_lowest_threshold_that_keeps_the_promise() -> None:
    """Above 0.9 a hundred right hits, bounded by 1 − 0.025^(1/100) = 3.6%; above 0.5 as many wrong ones too."""
    train = Met(np.repeat([0.95, 0.6], 100), np.ones(200, bool), np.repeat([True, False], 100))
    assert threshold(train, PROMISE) == 0.9
    assert threshold(train._replace(right=np.ones(200, bool)), PROMISE) == 0.5
    assert threshold(train, PROMISE._replace(false_hits=0.03)) is None  # a hundred are too few to promise that
    assert threshold(train._replace(right=np.zeros(200, bool)), PROMISE) is None


def test_the_promise_is_kept_as_often_as_stated() -> None:
    """Truly 12% false where 10% are promised: of 500 calibrations at most 5% may let it pass."""
    chance = np.random.default_rng(0)
    wrong = sum(
        threshold(Met(np.full(200, 0.95), np.ones(200, bool), chance.random(200) >= 0.12), PROMISE) is not None
        for _ in range(500)
    )
    assert wrong <= 25
