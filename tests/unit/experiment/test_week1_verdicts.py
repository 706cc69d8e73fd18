"""Verdicts of week 1 from numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rag_lab.experiment import week1_verdicts as verdicts
from rag_lab.experiment.detectors import Batching, Paired
from rag_lab.experiment.filtering import Decisions
from rag_lab.experiment.week1_detection import best_batch
from rag_lab.experiment.week1_verdicts import Measure, Timed
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.targets import TARGETS, Judged

FIXED: dict[str, Any] = {"seed": 0, "resamples": 200}


def near(value: float, width: float = 0.01) -> Interval:
    return Interval(value, value - width, value + width)


def judged(target: str, measure: Measure | str) -> Judged:
    rows = verdicts.judge({target: measure})
    return next(row for row in rows if row.id == target)


def measured(measure: Measure | str) -> Measure:
    assert isinstance(measure, Measure), measure
    return measure


def test_every_target_has_a_row_and_absent_ones_a_reason() -> None:
    rows = verdicts.judge({"w1.gpu_util": "no GPU: this run computes on cpu"})
    assert [row.id for row in rows] == [target.id for target in TARGETS]
    for row, target in zip(rows, TARGETS, strict=True):
        assert row.verdict == "not measured" and row.value is None
        assert row.why == ("no GPU: this run computes on cpu" if row.id == "w1.gpu_util" else target.absent)


@pytest.mark.parametrize(
    ("treatment", "baseline", "change", "absolute", "ratio", "by_baseline"),
    [
        (near(8), near(24), near(-0.67), "met", "−60%: met", False),  # both
        (near(8), near(9), near(-0.11), "met", "−60%: missed", True),  # the baseline met the absolute one already
        (near(30), near(100), near(-0.7), "missed", "−60%: met", False),
        (near(8), near(19.995), near(-0.6), "met", "−60%: inconclusive", False),  # nor has the baseline met it
        (near(20), near(40), near(-0.5), "inconclusive", "−60%: missed", False),
    ],
)
def test_a_latency_has_two_verdicts(
    treatment: Interval, baseline: Interval, change: Interval, absolute: str, ratio: str, by_baseline: bool
) -> None:
    timed = Timed(treatment, baseline, change, 700)
    row = judged("w1.detect_p95", verdicts.latency("w1.detect_p95", timed, "queries"))
    assert row.verdict == absolute and row.value == treatment.value and row.ci_high == treatment.high
    assert f"asked {ratio}" in row.why and ("met by the baseline" in row.why) == by_baseline
    assert row.why.startswith("p95 of 700 queries; ") and row.baseline == 50


@pytest.mark.parametrize(("target", "asked"), [("w1.filter_p95", "−40%"), ("w1.e2e_p95", "−33%")])
def test_the_ratio_asked_is_the_roadmaps(target: str, asked: str) -> None:
    timed = Timed(near(0.2, 0), near(1, 0), near(-0.8), 500)
    assert f"asked {asked}: met" in measured(verdicts.latency(target, timed, "calls")).why


def test_a_latency_without_a_start_has_no_ratio_to_reach() -> None:
    timed = Timed(near(0.9, 0), near(10, 0), near(-0.91), 500)
    row = judged("w1.filter_1000", verdicts.latency("w1.filter_1000", timed, "batches"))
    assert row.verdict == "met" and "−91% [−92%, −90%] against the frozen baseline's 10 ms" in row.why
    assert "asked" not in row.why and "our bar 1: met" in row.why


def test_a_percentile_of_few_calls_is_none() -> None:
    few = verdicts.latency("w1.detect_p95", Timed(near(1), near(1), near(0), 499), "real queries")
    assert judged("w1.detect_p95", few).why == "needs 500 real queries; this run has 499"


@pytest.mark.parametrize(("at_best", "says"), [(12, "met"), (10, "inconclusive"), (3, "missed")])
def test_batches_are_judged_at_the_best_and_told_at_ten(at_best: float, says: str) -> None:
    speedups = {4: near(2), 10: near(2.5), 64: near(at_best)}
    row = judged("w1.detect_batch", verdicts.batching(64, speedups, near(at_best)))
    assert row.verdict == says and row.value == at_best
    assert (
        "in batches of 64, the best of 4, 10, 64" in row.why
        and "in batches of 10: 2.50 [2.49, 2.51], missed" in row.why
    )
    assert judged("w1.detect_batch", verdicts.batching(4, {4: near(2)}, near(2))).verdict == "not measured"


def test_luck_does_not_choose_the_best_batch_and_measure_it() -> None:
    """Even rounds choose: there 8 is better. Odd rounds measure: there it is not."""
    found = Batching(np.full(6, 10.0), {4: np.full(6, 20.0), 8: np.array([50, 15, 50, 15, 50, 15.0])})
    assert best_batch(found, 0, 100) == (8, (1.5, 1.5, 1.5))


def test_equal_labels_lose_no_accuracy() -> None:
    row = judged("w1.detect_accuracy", verdicts.accuracy(Paired(0, 0, np.zeros(40, int)), np.zeros(100)))
    assert (row.value, row.ci_low, row.ci_high, row.verdict) == (0, 0, 0, "met")
    assert "40 of 40 labels are equal" in row.why


def test_lost_labels_are_told() -> None:
    gain = np.array([-1, -1, 1] + [0] * 97)
    row = judged("w1.detect_accuracy", verdicts.accuracy(Paired(4, 1, gain), np.linspace(-0.03, 0.01, 100)))
    assert row.value == pytest.approx(-0.01) and row.verdict == "inconclusive"
    assert "96 of 100 labels are equal, and 1 of the 4 others are at a tie" in row.why


def test_gpu_utilisation() -> None:
    row = judged("w1.gpu_util", verdicts.gpu(np.full(30, 88.0), None, **FIXED))
    assert (row.verdict, row.value) == ("met", 88) and "our bar 85: met" in row.why
    assert verdicts.gpu(np.array([]), "no GPU", **FIXED) == "no GPU"


def test_the_least_throughput_decides() -> None:
    rates = {1000: near(2e6, 1), 1_000_000: near(5e6, 1)}
    row = judged("w1.filter_throughput", verdicts.throughput(rates))
    assert row.value == 2e6 and row.verdict == "met" and "5,000,000" in row.why
    assert "our bar 20,000,000: missed" in row.why
    assert verdicts.throughput({1000: near(1)}) == "needs 1,000,000 items at once; this run has 1,000"


def rounds(**by_workers: float) -> dict[int, np.ndarray]:
    """Ten rounds' milliseconds, alike, by number of workers; w0 is the kernel."""
    return {int(name[1:]): np.full(10, taken) for name, taken in by_workers.items()}


@pytest.mark.parametrize(
    ("taken", "reached", "says"),
    [
        (rounds(w0=1, w1=80, w2=40, w4=20, w8=10), 8, "met"),
        (rounds(w0=1, w1=80, w2=40, w4=45, w8=10), 2, "missed"),  # what comes after a setback does not count
        (rounds(w0=1, w1=80, w2=90, w4=95, w8=99), 1, "missed"),
    ],
)
def test_the_pool_scales_as_far_as_every_step_pays(taken: dict[int, np.ndarray], reached: int, says: str) -> None:
    row = judged("w1.filter_workers", verdicts.workers({5000: taken}, **FIXED))
    assert row.value == row.ci_low == row.ci_high == reached and row.verdict == says
    assert "62,500 by 1" in row.why and "the kernel beats any pool at every size" in row.why


def test_fewer_workers_do_not_show_how_the_pool_scales() -> None:
    found = verdicts.workers({5000: rounds(w0=1, w1=2, w2=1)}, **FIXED)
    assert found == "needs 1, 2, 4, 8 workers; this run has 1, 2"


def test_the_point_from_which_the_kernel_beats_any_pool() -> None:
    slow, quick = rounds(w0=9, w1=4, w2=5), rounds(w0=2, w1=4, w2=3)
    assert verdicts.overtaking({10: slow, 100: quick, 1000: quick}) == "the kernel beats any pool from 100 items on"
    assert verdicts.overtaking({10: quick, 100: slow}) == "the kernel does not beat every pool at 100 items"
    assert "at every size measured, 10 to 100" in verdicts.overtaking({10: quick, 100: quick})


def test_equal_decisions() -> None:
    same = Decisions(np.array([100, 99]), np.array([100, 99]))
    row = judged("w1.filter_accuracy", verdicts.decisions({"jax": same}, "jax", **FIXED))
    assert (row.value, row.ci_low, row.verdict) == (1, 1, "met") and "jax 199 of 199" in row.why
    other = Decisions(np.full(20, 100), np.r_[50, np.full(19, 100)])
    found = verdicts.decisions({"jax": other, "pool": same}, "jax", **FIXED)
    row = judged("w1.filter_accuracy", found)
    assert row.value == 0.975 and row.verdict == "inconclusive" and "pool 199 of 199" in row.why
