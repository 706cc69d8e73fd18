"""Calibration: worked arithmetic, a brute-force oracle, properties."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.calibration import best_temperature, expected_calibration_error, nll, threshold


def test_the_error_of_worked_bins() -> None:
    """Two in the bin of 0.95, one of them right; two in that of 0.55, both right: (0.9 + 0.9) / 4."""
    confidence = jnp.array([0.95, 0.95, 0.55, 0.55])
    right = jnp.array([True, False, True, True])
    assert float(expected_calibration_error(confidence, right)) == pytest.approx((2 * 0.45 + 2 * 0.45) / 4, abs=1e-6)


def test_the_temperature_is_that_of_the_labels() -> None:
    """Labels drawn from softmax(logits / 2) want a temperature near 2, jitted or not."""
    logits = np.random.default_rng(0).normal(0, 3, (4000, 3)).astype(np.float32)
    labels = jax.random.categorical(jax.random.key(0), logits / 2)
    grid = jnp.geomspace(0.25, 8, 60)
    found = best_temperature(jnp.asarray(logits), labels, grid)
    assert 1.7 < float(found) < 2.4
    assert float(jax.jit(best_temperature)(logits, labels, grid)) == float(found)
    assert float(nll(jnp.asarray(logits), labels, found)) <= float(nll(jnp.asarray(logits), labels, grid[0]))


@pytest.mark.parametrize(("precision", "cut"), [(0.0, 0.0), (0.5, 0.0), (0.7, 0.6), (0.9, 0.8), (1.0, 0.8)], ids=str)
def test_worked_thresholds(precision: float, cut: float) -> None:
    """Right, right, wrong, right, wrong, wrong from the most confident down: precisions 1, 1, ⅔, ¾, ⅗, ½."""
    confidence = jnp.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    right = jnp.array([True, True, False, True, False, False])
    assert float(threshold(confidence, right, precision)) == pytest.approx(cut)


def test_where_no_cut_is_good_enough_nothing_passes() -> None:
    assert float(threshold(jnp.array([0.9, 0.8]), jnp.array([False, False]), 0.5)) > 1


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=12, max_size=12), st.integers(0, 20))
def test_it_equals_trying_every_cut(rows: list[tuple[int, bool]], twentieths: int) -> None:
    confidence = np.array([one / 10 for one, _ in rows], np.float32)
    right = np.array([one for _, one in rows])
    precision = twentieths / 20
    good = [cut for cut in confidence if right[confidence >= cut].sum() >= precision * (confidence >= cut).sum()]
    found = float(jax.jit(threshold)(confidence, right, precision))
    if right.sum() >= precision * 12:
        assert found == 0
    elif good:
        assert found == pytest.approx(min(good))
    else:
        assert found > 1
