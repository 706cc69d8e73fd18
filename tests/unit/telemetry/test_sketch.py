"""Histograms of a fixed relative error: what they promise, held against the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.telemetry.sketch import Histogram, Latencies

ERROR = 0.005
LATENCIES = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=60)


def recorded(values: list[float], error: float = ERROR) -> Histogram:
    latencies = Latencies(error)
    for value in values:
        latencies.add(value, 1)
    return latencies.histogram()


@given(LATENCIES, st.sampled_from([0.0, 0.25, 0.5, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_the_error_of_a_value_of_its_rank(values: list[float], share: float) -> None:
    exact = np.quantile(values, share, method="lower")
    found = recorded(values).quantile(share)
    assert found is not None and abs(found - exact) <= (ERROR + 1e-9) * exact


@given(LATENCIES, LATENCIES)
def test_histograms_add_up_as_if_one_had_seen_everything(first: list[float], second: list[float]) -> None:
    both, together = recorded(first) + recorded(second), recorded(first + second)
    assert both.bins == together.bins and both.count == together.count == len(first) + len(second)
    assert both.sum_ms == pytest.approx(together.sum_ms)


@given(LATENCIES, LATENCIES)
def test_what_came_since_is_the_difference(first: list[float], second: list[float]) -> None:
    since = recorded(first + second) - recorded(first)
    assert since.bins == recorded(second).bins and since.count == len(second)


@given(LATENCIES)
def test_counts_up_to_a_bound_are_right_but_within_the_error_of_it(values: list[float]) -> None:
    bounds = [0.01, 1.0, 100.0, 1e4]
    for bound, count in zip(bounds, recorded(values).at_most(bounds), strict=True):
        least = sum(value <= bound * (1 - 2 * ERROR) for value in values)
        most = sum(value <= bound * (1 + 2 * ERROR) for value in values)
        assert least <= count <= most


def test_a_worked_example() -> None:
    latencies = Latencies(0.1)  # γ = 1.1 / 0.9
    latencies.add(1.0, 3)
    latencies.add(1.2, 1)
    latencies.add(0.0, 2)
    found = latencies.histogram()
    assert found.bins == {0: 3, 1: 1} and found.zeros == 2 and found.count == 6
    assert found.sum_ms == pytest.approx(4.2)
    assert found.quantile(0) == 0
    assert found.at_most([0.5, 2.0]) == [2, 6]


def test_nothing_recorded_has_no_quantile() -> None:
    assert recorded([]).quantile(0.5) is None and recorded([]).count == 0


def test_different_errors_do_not_add_up() -> None:
    with pytest.raises(ValueError, match=r"0\.005 and 0\.01 do not add up"):
        _ = recorded([1.0]) + recorded([1.0], 0.01)
