"""Areas and shares with intervals: by hand, against plain loops, and what clusters do to an interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics.clustered import Draws, area, share

DRAWS = Draws(resamples=500, seed=0)
scores = st.lists(st.integers(0, 6), min_size=1, max_size=12)


def plain_area(true: list[int], false: list[int]) -> float:
    return float(np.mean([(p > n) + 0.5 * (p == n) for p in true for n in false]))


def test_an_area_by_hand() -> None:
    """Of six pairs the true one wins four and ties one."""
    found = area(np.array([3.0, 2.0]), np.array([1.0, 2.0, 2.5]), np.array([0, 1]), np.array([0, 1, 2]), DRAWS)
    assert found is not None and found.value == pytest.approx(4.5 / 6) and found.n == 2
    assert found.low <= found.value <= found.high


@settings(max_examples=30, deadline=None)
@given(scores, scores)
def test_the_plain_loop_agrees_and_turning_round_mirrors(true: list[int], false: list[int]) -> None:
    one, other = np.array(true, float), np.array(false, float)
    clusters = np.arange(len(one)) % 5, np.arange(len(other)) % 5
    found, turned = area(one, other, *clusters, DRAWS), area(other, one, *clusters[::-1], DRAWS)
    assert found is not None and turned is not None
    assert found.value == pytest.approx(plain_area(true, false))
    assert found.value + turned.value == pytest.approx(1)
    assert found.low + turned.high == pytest.approx(1) and 0 <= found.low <= found.high <= 1


def test_a_perfect_check_has_no_width() -> None:
    found = area(np.array([2.0, 3]), np.array([0.0, 1]), np.array([0, 1]), np.array([0, 1]), DRAWS)
    assert found is not None and found[:3] == (1, 1, 1)


def test_a_share_by_hand_and_its_interval() -> None:
    """Of 400 independent examples half are hits: the interval is that of a mean, ±1.96 · √(¼/400)."""
    hit = np.arange(400) % 2 == 0
    found = share(hit, np.ones(400, bool), np.arange(400), Draws(4000, 1))
    assert found is not None and found.value == 0.5 and found.n == 400
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.025, rel=0.1)


def test_clusters_that_agree_widen_the_interval() -> None:
    """Ten clusters of forty: as uncertain as ten examples."""
    cluster = np.repeat(np.arange(10), 40)
    hit, everyone = cluster % 2 == 0, np.ones(400, bool)
    alone, together = share(hit, everyone, np.arange(400), DRAWS), share(hit, everyone, cluster, DRAWS)
    assert alone is not None and together is not None
    assert together.high - together.low > 4 * (alone.high - alone.low)


def test_only_those_asked_about_count() -> None:
    hit, among = np.array([True, True, False, False]), np.array([True, False, True, False])
    found = share(hit, among, np.arange(4), DRAWS)
    assert found is not None and (found.value, found.n) == (0.5, 2)


def test_without_examples_nothing_is_measured() -> None:
    none, some = np.zeros(0), np.ones(1)
    assert area(none, some, none.astype(int), np.zeros(1, int), DRAWS) is None
    assert share(np.ones(2, bool), np.zeros(2, bool), np.zeros(2, int), DRAWS) is None


def test_the_same_seed_draws_the_same() -> None:
    hit, everyone, cluster = np.arange(30) % 3 == 0, np.ones(30, bool), np.arange(30)
    assert share(hit, everyone, cluster, DRAWS) == share(hit, everyone, cluster, DRAWS)
    assert share(hit, everyone, cluster, DRAWS) != share(hit, everyone, cluster, DRAWS._replace(seed=1))
