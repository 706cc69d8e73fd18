from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.metrics import economy, interval
from rag_lab.metrics.significance import Resampler

# Cheap and poor, dear and good, in between but below their line, in between and above it, dear and poor.
COST, QUALITY = np.array([1.0, 5.0, 3.0, 2.0, 4.0]), np.array([0.2, 0.8, 0.3, 0.5, 0.1])
values = arrays(np.float64, 6, elements=st.integers(0, 8).map(float))


def test_the_hull_by_hand() -> None:
    assert economy.hull(COST, QUALITY).tolist() == [0, 3, 1]


def test_equal_variants_count_once_and_a_single_one_is_a_hull() -> None:
    assert economy.hull(np.ones(3), np.ones(3)).tolist() == [0]
    assert economy.hull(np.ones(1), np.ones(1)).tolist() == [0]


@pytest.mark.parametrize(
    ("wanted", "cost"),
    [(0.1, 1.0), (0.2, 1.0), (0.35, 1.5), (0.5, 2.0), (0.65, 3.5), (0.8, 5.0), (0.81, math.nan)],
)
def test_cost_at_quality_by_hand(wanted: float, cost: float) -> None:
    """Half way from (1, 0.2) to (2, 0.5), and from there to (5, 0.8)."""
    found = float(economy.cost_at_quality(COST, QUALITY, np.float64(wanted)))
    assert found == pytest.approx(cost, nan_ok=True)


@pytest.mark.parametrize(("allowed", "quality"), [(0.9, math.nan), (1.0, 0.2), (1.5, 0.35), (3.5, 0.65), (9.0, 0.8)])
def test_quality_at_cost_by_hand(allowed: float, quality: float) -> None:
    found = float(economy.quality_at_cost(COST, QUALITY, np.float64(allowed)))
    assert found == pytest.approx(quality, nan_ok=True)


@settings(max_examples=80, deadline=None)
@given(values, values, st.integers(0, 8))
def test_the_hull_says_the_same(cost: np.ndarray, quality: np.ndarray, wanted: int) -> None:
    """Interpolating along the hull is the oracle of both."""
    corners = economy.hull(cost, quality)
    found = float(economy.cost_at_quality(cost, quality, np.float64(wanted)))
    if wanted > quality.max():
        assert math.isnan(found)
    else:
        below = max(float(wanted), quality[corners[0]])
        assert found == pytest.approx(np.interp(below, quality[corners], cost[corners]))
    allowed = float(economy.quality_at_cost(cost, quality, np.float64(wanted)))
    if wanted < cost.min():
        assert math.isnan(allowed)
    else:
        assert allowed == pytest.approx(np.interp(wanted, cost[corners], quality[corners]))


@settings(max_examples=60, deadline=None)
@given(values, values)
def test_the_hull_is_a_part_of_the_front_and_concave(cost: np.ndarray, quality: np.ndarray) -> None:
    corners = economy.hull(cost, quality)
    for one in corners:
        as_good = (cost <= cost[one]) & (quality >= quality[one])
        assert not (as_good & ((cost < cost[one]) | (quality > quality[one]))).any()
    slopes = np.diff(quality[corners]) / np.diff(cost[corners])
    assert (np.diff(slopes) < 1e-12).all() and (slopes > 0).all()


def test_resamples_go_through_at_once() -> None:
    random = np.random.default_rng(0)
    cost, quality, wanted = random.random((3, 5)), random.random((3, 5)), np.array([0.2, 0.5, 0.9])
    each = [float(economy.cost_at_quality(*one)) for one in zip(cost, quality, wanted, strict=True)]
    np.testing.assert_allclose(economy.cost_at_quality(cost, quality, wanted), each)


def test_the_share_of_the_box_by_hand() -> None:
    """Half of the cost, quality 0.5, diversity 0.5: an eighth; a second point adds half of its own cell."""
    one = economy.shares(np.array([[1.0], [0.5], [0.5]]), 2.0)
    assert float(economy.hypervolume(one)) == 0.125
    two = economy.shares(np.array([[1.0, 1.0], [0.5, 1.0], [0.5, 0.25]]), 2.0)
    assert float(economy.hypervolume(two)) == pytest.approx(0.125 + 0.5 * 0.5 * 0.25)


def test_moocore_agrees_on_every_resample() -> None:
    moocore = pytest.importorskip("moocore")
    sets = np.random.default_rng(1).random((300, 6, 3)) * 1.2
    theirs = [moocore.hypervolume(one, ref=np.ones(3)) for one in sets]
    np.testing.assert_allclose(economy.hypervolume(sets), theirs, rtol=1e-9)


def test_waste_by_hand() -> None:
    member = np.array([[True, False], [False, True], [True, True]])
    assert economy.wasted(member, np.array([0, 0, 1])).tolist() == [0, 1, 0]


def test_an_interval_from_resampled_clusters() -> None:
    """The hypervolume of two variants: value and draws from the means that the run's one resampler gives."""
    random = np.random.default_rng(0)
    domain, cluster = np.repeat([0, 1], 40), np.tile(np.repeat(np.arange(20), 2), 2)
    resampler = Resampler(domain, cluster, seed=0, resamples=200)
    parts = [
        np.stack([economy.mean(resampler.estimate(random.random((1, 80)) * scale)) for scale in (0.5, 1.0)], axis=1)
        for _ in range(3)
    ]
    value, *draws = economy.hypervolume(economy.shares(np.array(parts), 1.0))
    found = interval.around(float(value), np.array(draws))
    assert len(draws) == 200 and 0 < found.low < found.value < found.high < 1
