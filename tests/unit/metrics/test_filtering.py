from __future__ import annotations

import numpy as np
import pytest

from rag_lab.metrics.filtering import detection, scores


def test_by_hand() -> None:
    """Four items are dropped, three of them noise; one noise item is kept, with a fifth of the weight."""
    noise = np.array([1, 1, 1, 1, 0, 0, 0], bool)
    keep = np.array([0, 0, 0, 1, 0, 1, 1], bool)
    weight = np.array([0, 0, 0, 0.2, 0, 0.5, 0.3], np.float32)
    found = detection(keep, weight, noise)
    assert (found.precision, found.recall, found.f1) == (0.75, 0.75, 0.75)
    assert found.noise_share == pytest.approx(4 / 7) and found.noise_weight == pytest.approx(0.2)


def test_f1_is_the_harmonic_mean() -> None:
    precision, recall, f1 = scores(caught=2, dropped=4, noise=3)
    assert precision is not None and recall is not None
    assert f1 == pytest.approx(2 * precision * recall / (precision + recall))


@pytest.mark.parametrize(
    ("counts", "expected"),
    [((0, 0, 0), (None, None, None)), ((0, 2, 0), (0, None, None)), ((0, 0, 2), (None, 0, 0))],
)
def test_absent_is_not_zero(counts: tuple[int, int, int], expected: tuple[float | None, ...]) -> None:
    assert scores(*counts) == expected


def test_nothing_at_all() -> None:
    assert detection(np.ones(0, bool), np.ones(0, np.float32), np.ones(0, bool)) == (None,) * 5
    assert detection(np.zeros(1, bool), np.zeros(1, np.float32), np.ones(1, bool)).noise_weight is None
