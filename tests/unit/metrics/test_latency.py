"""Percentiles and their changes: by hand, by NumPy, and under what cannot matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics import latency

RANDOM = np.random.default_rng(0)


def test_blocks_are_neighbours_and_the_end_is_joined_to_the_beginning() -> None:
    drawn = latency.places(500, 200, seed=0, block=10)
    assert drawn.shape == (200, 500)
    steps = np.diff(drawn.reshape(200, 50, 10), axis=2) % 500
    assert (steps == 1).all()
    counts = np.bincount(drawn.ravel(), minlength=500)
    assert counts.min() > 0.6 * counts.mean() and counts.max() < 1.4 * counts.mean()


@pytest.mark.parametrize("calls", [1, 7, 20, 23])
def test_any_number_of_calls_is_resampled_to_as_many(calls: int) -> None:
    drawn = latency.places(calls, 30, seed=1)
    assert drawn.shape == (30, calls) and set(drawn.ravel()) <= set(range(calls))


def test_percentiles_by_hand_and_of_every_resample_by_numpy() -> None:
    taken = np.arange(1.0, 1001)
    drawn = latency.places(1000, 600, seed=0)  # more than are sorted at once
    found = latency.percentiles(taken, drawn)
    assert found.value == pytest.approx([500.5, 950.05, 990.01])
    assert found.draws.shape == (600, 3)
    for row in (0, 249, 250, 599):
        np.testing.assert_allclose(found.draws[row], np.quantile(taken[drawn[row]], [0.5, 0.95, 0.99]))
    assert found.intervals()["p95"].low < 950.05 < found.intervals()["p95"].high


def test_neighbours_that_resemble_each_other_make_the_interval_wider() -> None:
    """A machine that is slow for stretches of 50 calls: single calls drawn would be far too sure."""
    slow = np.repeat(RANDOM.random(20) < 0.3, 50) * 10.0 + RANDOM.random(1000)
    blocks = latency.percentiles(slow, latency.places(1000, 500, seed=0)).intervals()["p50"]
    single = latency.percentiles(slow, latency.places(1000, 500, seed=0, block=1)).intervals()["p50"]
    assert blocks.high - blocks.low > 2 * (single.high - single.low)


def test_a_change_is_paired_by_call() -> None:
    """Half the time at every call, on a machine that slows down tenfold half way: exactly −50%."""
    baseline = RANDOM.gamma(4, 1, 400) * np.repeat([1, 10], 200)
    drawn = latency.places(400, 300, seed=0)
    change = latency.change(latency.percentiles(baseline / 2, drawn), latency.percentiles(baseline, drawn))
    for found in change.values():
        assert found == pytest.approx((-0.5, -0.5, -0.5))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=60), st.floats(0.1, 10))
def test_another_unit_changes_no_ratio(taken: list[float], unit: float) -> None:
    drawn = latency.places(len(taken), 20, seed=2)
    one, other = (latency.percentiles(np.array(taken) * scale, drawn) for scale in (1, unit))
    np.testing.assert_allclose(other.draws, one.draws * unit, rtol=1e-9)
    for found in latency.change(one, one).values():
        assert found == (0, 0, 0)
