from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics.targets import TARGETS, measured, not_measured, verdict

TWELVE_PERCENT = next(target for target in TARGETS if target.id == "w2.recall")


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (0.13, 0.20, "met"),
        (0.12, 0.20, "met"),  # the whole interval lies at or past the target
        (0.10, 0.20, "inconclusive"),
        (0.05, 0.12, "inconclusive"),  # its upper end would meet it
        (0.05, 0.11, "missed"),
        (0.12, 0.12, "met"),
    ],
)
def test_a_target_to_reach(low: float, high: float, says: str) -> None:
    assert verdict(0.12, True, low, high) == says


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [(15, 19, "met"), (15, 20, "met"), (15, 21, "inconclusive"), (20, 25, "inconclusive"), (21, 25, "missed")],
)
def test_a_target_to_stay_below(low: float, high: float, says: str) -> None:
    assert verdict(20, False, low, high) == says


@pytest.mark.parametrize(
    ("low", "high", "says"), [(0.001, 0.1, "met"), (0, 0.1, "inconclusive"), (-0.1, -0.001, "missed")]
)
def test_a_strict_target_is_not_met_by_touching_it(low: float, high: float, says: str) -> None:
    assert verdict(0, True, low, high, strict=True) == says


@settings(max_examples=50, deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 5))
def test_the_two_directions_mirror_each_other(target: float, low: float, width: float) -> None:
    assert verdict(target, True, low, low + width) == verdict(-target, False, -low - width, -low)


@settings(max_examples=50, deadline=None)
@given(st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 5), st.floats(0, 5), st.booleans())
def test_a_wider_interval_never_decides_otherwise(
    target: float, low: float, width: float, more: float, at_least: bool
) -> None:
    narrow, wide = (
        verdict(target, at_least, low, low + width),
        verdict(target, at_least, low - more, low + width + more),
    )
    assert wide in (narrow, "inconclusive")


def test_every_target_of_the_roadmap_once() -> None:
    ids = [target.id for target in TARGETS]
    assert len(ids) == len(set(ids))
    by_week = {week: sum(one.startswith(f"{week}.") for one in ids) for week in ("w1", "w2", "w3", "final")}
    assert by_week == {"w1": 10, "w2": 6, "w3": 4, "final": 7}
    assert all(target.statement and target.metric for target in TARGETS)


@pytest.mark.parametrize(
    ("id", "baseline", "target", "at_least"),
    [
        ("w1.detect_p95", 50, 20, False),
        ("w1.filter_p95", 50, 30, False),
        ("w1.e2e_p95", 3000, 2000, False),
        ("w1.filter_throughput", None, 3000, True),
        ("w2.recall", None, 0.12, True),
        ("w2.beats_static", None, 0, True),
        ("w2.cost", None, -0.2, False),
        ("w2.convergence", None, 0.9, True),
        ("w3.hit_rate", None, 0.6, True),
        ("w3.latency", None, -0.3, False),
        ("final.groundedness", None, 0.9, True),
        ("final.latency", None, 3000, False),
        ("final.cost", None, -0.25, False),
    ],
)
def test_the_roadmaps_numbers(id: str, baseline: float | None, target: float, at_least: bool) -> None:
    found = next(one for one in TARGETS if one.id == id)
    assert (found.baseline, found.target, found.at_least) == (baseline, target, at_least)


def test_what_was_not_measured_says_why_and_is_not_zero() -> None:
    row = not_measured(TWELVE_PERCENT, "no reference")
    assert (row.value, row.ci_low, row.ci_high) == (None, None, None)
    assert (row.verdict, row.why, row.target, row.id) == ("not measured", "no reference", 0.12, "w2.recall")


def test_every_target_says_what_is_needed_where_it_is_not_measured() -> None:
    assert all(target.absent.startswith("needs ") for target in TARGETS)


def test_what_was_measured() -> None:
    row = measured(TWELVE_PERCENT, 0.05, 0.02, 0.08, "missed", "because", 0.61)
    assert (row.value, row.ci_low, row.ci_high, row.baseline, row.verdict) == (0.05, 0.02, 0.08, 0.61, "missed")
    first = next(target for target in TARGETS if target.id == "w1.detect_p95")
    assert measured(first, 10, 9, 11, "met", "").baseline == 50
