"""Fitted heads: they find what made the examples, and their thresholds keep what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from rag_lab.kernels import support
from rag_lab.kernels.support import Head, Signs
from rag_lab.metrics import heads
from rag_lab.metrics.support import probabilities

RANDOM = np.random.default_rng(0)
SIGNS = RANDOM.random((600, 5))
LIKELY = 1 / (1 + np.exp(-(8 * SIGNS[:, 0] - 4)))  # only the first sign tells
TRUE = RANDOM.random(600) < LIKELY


def test_the_sign_that_tells_gets_the_weight() -> None:
    head = heads.fit(SIGNS, TRUE)
    assert head.cosine > 5
    assert max(abs(weight) for weight in head[1:5]) < 1.5
    assert head.threshold == 0 and (probabilities(head, SIGNS) >= head.threshold).all()


def test_the_rarer_kind_counts_as_much() -> None:
    """Leaving out most false examples changes the judgment little."""
    kept = np.concatenate([np.flatnonzero(TRUE), np.flatnonzero(~TRUE)[:60]])
    few, all_of_them = (probabilities(heads.fit(SIGNS[rows], TRUE[rows]), SIGNS) for rows in (kept, slice(None)))
    assert abs(few - all_of_them).mean() < 0.08


@pytest.mark.parametrize("fooled", [0.01, 0.05, 0.3])
def test_rarely_fooled_is_fooled_by_no_more_than_it_may(fooled: float) -> None:
    head = heads.rarely_fooled(heads.fit(SIGNS, TRUE), SIGNS[~TRUE], fooled)
    share = (probabilities(head, SIGNS[~TRUE]) >= head.threshold).mean()
    assert fooled - 0.03 < share <= fooled


@pytest.mark.parametrize("precision", [0.8, 0.9])
def test_rarely_silent_is_silent_rightly(precision: float) -> None:
    head = heads.rarely_silent(heads.fit(SIGNS, TRUE), SIGNS, TRUE, precision)
    silent = probabilities(head, SIGNS) < head.threshold
    assert silent.sum() > 100 and (~TRUE)[silent].mean() >= precision - 0.01


def test_where_silence_is_never_right_nobody_is_silenced() -> None:
    everyone = np.ones(600, bool)
    everyone[:5] = False
    head = heads.rarely_silent(heads.fit(RANDOM.random((600, 5)), everyone), SIGNS, everyone, 0.99)
    assert (probabilities(head, SIGNS) >= head.threshold).mean() > 0.98


def test_the_kernel_judges_the_same() -> None:
    head = Head(1.5, -0.5, 0.25, 2.0, -1.0, 0.3, 0.5)
    one = [float(support.probability(head, Signs(*map(np.float32, row)))) for row in SIGNS[:20]]
    np.testing.assert_allclose(one, probabilities(head, SIGNS[:20]), rtol=1e-5)


def test_numbers_are_short_enough_to_be_written_down() -> None:
    head = heads.rarely_fooled(heads.fit(SIGNS, TRUE), SIGNS[~TRUE], 0.05)
    assert all(float(f"{number:.3f}") == number for number in head)
