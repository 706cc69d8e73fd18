from __future__ import annotations

from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.hypervolume import contributions, hypervolume

POINTS = 7
REFERENCE = {2: np.array([4.0, 4.0]), 3: np.array([4.0, 4.0, 4.0])}
_hypervolume, _contributions = jax.jit(hypervolume), jax.jit(contributions)
whole = st.integers(0, 5)  # some lie on the reference, some beyond
sets = st.sampled_from([2, 3]).flatmap(lambda m: arrays(np.float32, (POINTS, m), elements=whole))
masks = arrays(np.bool_, POINTS)


def cells(points: np.ndarray, real: np.ndarray) -> int:
    """The naive volume on a grid of whole numbers: unit cells that a real point reaches."""
    corners = np.stack(np.meshgrid(*[np.arange(4)] * points.shape[1], indexing="ij"), axis=-1)
    reached = (points[:, *[None] * points.shape[1]] <= corners).all(axis=-1)
    return int((reached & real.reshape(-1, *[1] * points.shape[1])).any(axis=0).sum())


def volume(points: np.ndarray, real: np.ndarray) -> float:
    return float(_hypervolume(points, REFERENCE[points.shape[1]].astype(np.float32), real))


def test_two_objectives_by_hand() -> None:
    """Up to (4, 4): (1, 3) holds 3, (2, 1) holds 6, and 2 of them are the same."""
    points = jnp.array([[1.0, 3.0], [2.0, 1.0], [0.0, 0.0]])
    real = jnp.array([True, True, False])
    assert float(_hypervolume(points, jnp.full(2, 4.0), real)) == 7
    assert _contributions(points, jnp.full(2, 4.0), real).tolist() == [1, 4, 0]


def test_three_objectives_by_hand() -> None:
    """Up to (2, 2, 2): the boxes of (0, 1, 1) and (1, 0, 0) hold 2 and 4, and 1 of it together."""
    points = jnp.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]])
    assert float(_hypervolume(points, jnp.full(3, 2.0), jnp.ones(2, bool))) == 5
    assert _contributions(points, jnp.full(3, 2.0), jnp.ones(2, bool)).tolist() == [1, 3]


def test_duplicates_dominated_points_and_points_beyond_contribute_nothing() -> None:
    points = jnp.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0], [0.0, 9.0], [0.0, 3.0]])
    assert float(_hypervolume(points, jnp.full(2, 4.0), jnp.ones(5, bool))) == 10
    assert _contributions(points, jnp.full(2, 4.0), jnp.ones(5, bool)).tolist() == [0, 0, 0, 0, 1]


def test_four_objectives_are_refused() -> None:
    with pytest.raises(ValueError, match="2 or 3 objectives, not 4"):
        hypervolume(jnp.zeros((2, 4)), jnp.ones(4), jnp.ones(2, bool))


@settings(max_examples=60, deadline=None)
@given(sets, masks)
def test_counting_cells_agrees(points: np.ndarray, real: np.ndarray) -> None:
    assert volume(points, real) == cells(points, real)


@settings(max_examples=40, deadline=None)
@given(sets, masks)
def test_a_contribution_is_what_leaving_the_point_out_loses(points: np.ndarray, real: np.ndarray) -> None:
    found = np.asarray(_contributions(points, REFERENCE[points.shape[1]].astype(np.float32), real))
    for place in range(POINTS):
        without = real & (np.arange(POINTS) != place)
        assert found[place] == cells(points, real) - cells(points, without)


@settings(max_examples=40, deadline=None)
@given(sets, masks, st.randoms(use_true_random=False))
def test_the_order_of_points_and_objectives_changes_nothing(
    points: np.ndarray, real: np.ndarray, random: object
) -> None:
    order, columns = list(range(POINTS)), list(range(points.shape[1]))
    random.shuffle(order)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    assert volume(points[order][:, columns], real[order]) == volume(points, real)


@settings(max_examples=40, deadline=None)
@given(sets, masks, st.integers(0, POINTS - 1))
def test_a_point_more_never_takes_away_and_a_worse_one_adds_nothing(
    points: np.ndarray, real: np.ndarray, place: int
) -> None:
    real[-1] = False
    before = volume(points, real)
    more = real | (np.arange(POINTS) == place)
    assert volume(points, more) >= before
    if real[place]:
        points[-1] = points[place] + np.float32(0.5)
        assert volume(points, real | (np.arange(POINTS) == POINTS - 1)) == before


@pytest.mark.parametrize("objectives", [2, 3])
def test_moocore_agrees_to_nine_digits(objectives: int) -> None:
    """The very same float32 points, summed up in float64; ours are padded to one size."""
    moocore = pytest.importorskip("moocore")
    random = np.random.default_rng(objectives)
    reference = np.full(objectives, 1.05)
    for shape, points in product(("cube", "sphere", "grid", "line"), (1, 9, 30)):
        given = random.random((points, objectives)).astype(np.float32).astype(np.float64)
        if shape == "sphere":
            given = given / np.linalg.norm(given, axis=1, keepdims=True)
        elif shape == "grid":
            given = np.round(given * 3) / 3
        elif shape == "line":
            given = np.repeat(given[:, :1], objectives, axis=1)
        padded, real = np.zeros((30, objectives)), np.arange(30) < points
        padded[:points] = given
        with jax.enable_x64(True):
            whole, each = float(_hypervolume(padded, reference, real)), _contributions(padded, reference, real)
        assert whole == pytest.approx(moocore.hypervolume(given, ref=reference), rel=1e-9)
        theirs = moocore.hv_contributions(given, ref=reference, ignore_dominated=False)
        np.testing.assert_allclose(each[:points], theirs, rtol=1e-9, atol=1e-12)
        assert not each[points:].any()


def test_pymoo_agrees() -> None:
    peer = pytest.importorskip("pymoo.indicators.hv")
    given = np.random.default_rng(5).random((25, 3))
    with jax.enable_x64(True):
        ours = float(_hypervolume(given, np.full(3, 1.1), np.ones(25, bool)))
    assert ours == pytest.approx(float(peer.HV(ref_point=np.full(3, 1.1))(given)), rel=1e-9)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    for objectives in (2, 3):
        examples = [
            (
                jnp.array(random.random((POINTS, objectives)), jnp.float32),
                jnp.ones(objectives),
                jnp.array(random.random(POINTS) < 0.8),
            )
            for _ in range(3)
        ]
        alike(hypervolume, examples)
        alike(contributions, examples)
