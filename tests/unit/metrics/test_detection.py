"""Detection quality: worked arithmetic, a plain Python oracle, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.metrics import detection

# True domain and the domain chosen (-1: silent) of eight queries, with the probabilities that led to it.
TRUTH = np.array([0, 0, 0, 1, 1, 2, 2, 2])
CHOSEN = np.array([0, 0, 1, 1, -1, 2, -1, 0])
LIKELIEST = np.array([0, 0, 1, 1, 0, 2, 2, 0])  # what was held back is in it
CONFIDENCE = np.array([0.9, 0.8, 0.7, 0.6, 0.4, 0.9, 0.4, 0.5])
PROBABILITIES = np.where(np.arange(3) == LIKELIEST[:, None], CONFIDENCE[:, None], (1 - CONFIDENCE[:, None]) / 2)
CLUSTER = np.array([0, 0, 1, 0, 1, 0, 1, 2])


@pytest.fixture(scope="module")
def found() -> detection.Quality:
    return detection.quality(TRUTH, PROBABILITIES, CHOSEN, CLUSTER, seed=0, resamples=400)


def test_the_confusion_matrix_by_hand(found: detection.Quality) -> None:
    assert found.confusion.tolist() == [[2, 1, 0, 0], [0, 1, 0, 1], [1, 0, 1, 1]]


def test_accuracy_and_macro_f1_by_hand(found: detection.Quality) -> None:
    """Right: 4 of 8. F1: 2·2/(3 + 3), 2·1/(2 + 2), 2·1/(3 + 1)."""
    assert found.accuracy.value == 0.5
    assert found.macro_f1.value == pytest.approx((2 / 3 + 1 / 2 + 1 / 2) / 3)
    assert found.queries == 8 and found.answered == 0.75 and found.right_when_answered == pytest.approx(4 / 6)


def test_abstention_by_hand(found: detection.Quality) -> None:
    """Two are held back, of which one would have been wrong; three likeliest domains are wrong."""
    assert found.abstain_precision == 0.5
    assert found.abstain_recall == pytest.approx(1 / 3)


def test_calibration_error_by_hand() -> None:
    """Bins of a fifteenth: 0.9 (twice, right), 0.4 (right and wrong), 0.7 wrong."""
    confidence, right = np.array([0.9, 0.9, 0.4, 0.4, 0.7]), np.array([True, True, True, False, False])
    assert detection.calibration_error(confidence, right) == pytest.approx((0.2 + 0.2 + 0.7) / 5)


def test_the_edges_of_confidence_have_a_bin() -> None:
    assert detection.calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == 0


def test_what_has_nothing_to_divide_by_is_absent() -> None:
    never = detection.quality(TRUTH, PROBABILITIES, LIKELIEST, CLUSTER, seed=0, resamples=10)
    assert never.abstain_precision is None and never.abstain_recall == 0
    always = detection.quality(TRUTH, PROBABILITIES, np.full(8, -1), CLUSTER, seed=0, resamples=10)
    assert always.right_when_answered is None and always.answered == 0 and always.accuracy == (0, 0, 0)
    right = np.eye(3)[TRUTH]
    perfect = detection.quality(TRUTH, right, TRUTH, CLUSTER, seed=0, resamples=10)
    assert perfect.abstain_recall is None
    assert perfect.accuracy == perfect.macro_f1 == (1, 1, 1) and perfect.calibration_error == 0


def plain_macro_f1(truth: list[int], chosen: list[int]) -> float:
    """One domain after the other, as a textbook would."""
    scores = []
    for domain in sorted(set(truth)):
        hits = sum(t == domain == c for t, c in zip(truth, chosen, strict=True))
        said, asked = chosen.count(domain), truth.count(domain)
        precision, recall = hits / said if said else 0.0, hits / asked
        scores.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(scores) / len(scores)


def plain_calibration_error(confidence: list[float], right: list[bool]) -> float:
    """Bin after bin."""
    total = 0.0
    for number in range(detection.BINS):
        low, high = number / detection.BINS, (number + 1) / detection.BINS
        own = [at for at, one in enumerate(confidence) if low < one <= high or (number == 0 and one == 0)]
        if own:
            accuracy = sum(right[at] for at in own) / len(own)
            total += len(own) * abs(accuracy - sum(confidence[at] for at in own) / len(own))
    return total / len(confidence)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-1, 3), st.integers(0, 997), st.integers(0, 3)),
        min_size=1,
        max_size=40,
    )
)
def test_against_the_plain_way(rows: list[tuple[int, int, int, int]]) -> None:
    truth, chosen, parts, cluster = (np.array(column) for column in zip(*rows, strict=True))
    confidence = parts / 997  # a prime: no confidence lies on the edge of a bin
    probabilities = np.full((len(rows), 4), -1.0)
    likeliest = np.where(chosen < 0, 0, chosen)
    probabilities[np.arange(len(rows)), likeliest] = confidence
    found = detection.quality(truth, probabilities, chosen, cluster, seed=1, resamples=5)
    assert found.accuracy.value == pytest.approx(np.mean(truth == chosen))
    assert found.macro_f1.value == pytest.approx(plain_macro_f1(truth.tolist(), chosen.tolist()))
    error = plain_calibration_error(confidence.tolist(), (likeliest == truth).tolist())
    assert found.calibration_error == pytest.approx(error)
    assert found.confusion.sum() == len(rows)


def test_whole_clusters_are_drawn_within_their_domain() -> None:
    """Two clusters of domain 0, one all right, one all wrong: accuracy there is 0, 1/2 or 1 with chances 1:2:1."""
    truth, chosen = np.array([0] * 8 + [1] * 4), np.array([0] * 4 + [1] * 4 + [1] * 4)
    cluster = np.array([0] * 4 + [1] * 4 + [0, 1, 2, 3])
    draws = detection.resampled(truth, chosen, cluster, 2, seed=0, resamples=4000)
    assert (draws.sum(axis=(1, 2)) == 12).all()  # equal clusters keep every domain's size
    rights = draws[:, 0, 0]
    shares = [(rights == hits).mean() for hits in (0, 4, 8)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.03)
    assert (draws[:, 1, 1] == 4).all()


def test_intervals_hold_their_values_and_repeat(found: detection.Quality) -> None:
    for one in (found.accuracy, found.macro_f1):
        assert 0 <= one.low <= one.value <= one.high <= 1
    again = detection.quality(TRUTH, PROBABILITIES, CHOSEN, CLUSTER, seed=0, resamples=400)
    assert again.accuracy == found.accuracy and again.macro_f1 == found.macro_f1
