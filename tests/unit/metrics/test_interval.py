"""Intervals: by hand, and what they always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics import interval


def test_an_interval_by_hand() -> None:
    """Of 0, 1 … 1000 the 2.5% and 97.5% quantiles are 25 and 975."""
    assert interval.around(500, np.arange(1001.0)) == pytest.approx((500, 25, 975))


def test_an_interval_holds_its_value_even_where_resamples_do_not() -> None:
    assert interval.around(5, np.full(10, 3.0)) == (5, 3, 5)
    assert interval.around(1, np.full(10, 3.0)) == (1, 1, 3)


def test_resamples_are_of_the_measurements_and_repeat() -> None:
    drawn = interval.resampled(7, seed=3, resamples=50)
    assert drawn.shape == (50, 7) and drawn.min() >= 0 and drawn.max() <= 6
    np.testing.assert_array_equal(drawn, interval.resampled(7, seed=3, resamples=50))


def test_the_mean_s_interval_is_the_textbook_s() -> None:
    """± 1.96 standard errors for a hundred normal numbers, but for a tenth."""
    values = np.random.default_rng(0).normal(10, 2, 100)
    found = interval.mean(values, interval.resampled(100, seed=0, resamples=5000))
    error = 1.96 * values.std() / 10
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.1 * error)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(-100, 100))
def test_shifting_the_measurements_shifts_the_median(values: list[float], by: float) -> None:
    drawn = interval.resampled(len(values), seed=1, resamples=20)
    one, other = interval.median(np.array(values), drawn), interval.median(np.array(values) + by, drawn)
    assert one.low <= one.value <= one.high
    assert other == pytest.approx(tuple(each + by for each in one), abs=1e-6)


def test_the_contract_s_names() -> None:
    found = interval.metrics("a/b", interval.Interval(2, 1, 3))
    assert found == {"a/b": 2, "a/b_ci_low": 1, "a/b_ci_high": 3}
