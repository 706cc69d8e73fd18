from __future__ import annotations

from collections.abc import Callable
from itertools import product

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.pareto import UNROLL, crowding, dominated_by, dominates, fronts, nondominated

POINTS, OBJECTIVES = UNROLL + 7, 3  # two passes over the rivals, the second not whole
TINY = np.float32(1e-45)  # the least subnormal: some devices take it for 0
_nondominated, _fronts, _crowding = jax.jit(nondominated), jax.jit(fronts), jax.jit(crowding)
_dominated_by = jax.jit(dominated_by)
# Few distinct values, so that ties and duplicates are the rule; and any floats at all, subnormal ones too.
coarse = st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, TINY, -TINY, np.inf, -np.inf])
floats = st.floats(allow_nan=False, width=32)
sets = arrays(np.float32, (POINTS, OBJECTIVES), elements=coarse) | arrays(
    np.float32, (POINTS, OBJECTIVES), elements=floats
)
masks = arrays(np.bool_, POINTS)


def naive(points: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Pair by pair; NumPy compares subnormal numbers as they are."""
    no_worse = (points[:, None] <= points[None]).all(axis=2)
    better = (points[:, None] < points[None]).any(axis=2)
    return real & ~(no_worse & better & real[:, None]).any(axis=0)


def peeled(points: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Front after front."""
    left, found, level = real.copy(), np.full(len(points), len(points)), 0
    while left.any():
        best = naive(points, left)
        found[best], left, level = level, left & ~best, level + 1
    return found


def test_dominance_by_hand() -> None:
    point = jnp.array([1.0, 2.0])
    for other, expected in (([1, 3], True), ([2, 3], True), ([1, 2], False), ([0, 3], False), ([0, 1], False)):
        assert bool(dominates(point, jnp.array(other, jnp.float32))) is expected


def test_a_front_by_hand() -> None:
    """(1, 4), (2, 2) twice and (4, 1) stand; (2, 3) and (4, 4) fall; the padding would have beaten all."""
    points = jnp.array([[1, 4], [2, 2], [2, 3], [4, 4], [4, 1], [2, 2], [0, 0]], jnp.float32)
    real = jnp.arange(7) < 6
    assert _nondominated(points, real).tolist() == [True, True, False, False, True, True, False]
    assert _fronts(points, real).tolist() == [0, 0, 1, 2, 0, 0, 7]


def test_rivals_by_hand() -> None:
    points = jnp.array([[1, 1], [3, 3]], jnp.float32)
    rivals = jnp.array([[2, 2], [0, 0], [1, 1]], jnp.float32)
    assert _dominated_by(points, rivals, jnp.array([True, False, True])).tolist() == [False, True]


def test_crowding_by_hand() -> None:
    """Of (0, 4), (1, 2), (3, 1), (4, 0): the second has (3 − 0)/4 + (4 − 1)/4, the third (4 − 1)/4 + (2 − 0)/4."""
    points = jnp.array([[3, 1], [0, 4], [4, 0], [1, 2], [9, 9]], jnp.float32)
    np.testing.assert_allclose(_crowding(points, jnp.array([0, 0, 0, 0, 1])), [1.25, np.inf, np.inf, 1.5, np.inf])


def test_an_objective_without_range_crowds_nobody() -> None:
    points = jnp.array([[0, 5], [1, 5], [2, 5], [4, 5]], jnp.float32)
    assert _crowding(points, jnp.zeros(4, jnp.int32)).tolist()[1:3] == [0.5, 0.75]


def test_nobody_real() -> None:
    points = jnp.ones((3, 2))
    assert not _nondominated(points, jnp.zeros(3, bool)).any()
    assert _fronts(points, jnp.zeros(3, bool)).tolist() == [3, 3, 3]


@settings(max_examples=60, deadline=None)
@given(sets, masks)
def test_the_naive_search_agrees(points: np.ndarray, real: np.ndarray) -> None:
    assert np.asarray(_nondominated(points, real)).tolist() == naive(points, real).tolist()
    assert np.asarray(_fronts(points, real)).tolist() == peeled(points, real).tolist()


@settings(max_examples=40, deadline=None)
@given(sets, masks)
def test_no_returned_point_is_dominated_and_every_other_is_by_a_returned_one(
    points: np.ndarray, real: np.ndarray
) -> None:
    kept = np.asarray(_nondominated(points, real))
    beaten = np.asarray(_dominated_by(points, points, kept))
    assert not beaten[kept].any() and beaten[real & ~kept].all()


@settings(max_examples=40, deadline=None)
@given(sets, masks, st.integers(0, POINTS - 1), st.integers(0, OBJECTIVES - 1))
def test_a_dominated_point_more_changes_nothing(
    points: np.ndarray, real: np.ndarray, place: int, objective: int
) -> None:
    """A copy of a real point, worse in one objective, takes the last place, which was padding."""
    real[-1] = False
    before = np.asarray(_nondominated(points, real))
    worse = points[place].copy()
    worse[objective] = np.nextafter(worse[objective], np.float32(np.inf))
    if real[place] and worse[objective] > points[place][objective]:
        points[-1], real[-1] = worse, True
        assert np.asarray(_nondominated(points, real)).tolist() == before.tolist()


@settings(max_examples=40, deadline=None)
@given(sets, masks, st.randoms(use_true_random=False))
def test_the_order_of_points_and_of_objectives_changes_nothing(
    points: np.ndarray, real: np.ndarray, random: object
) -> None:
    order, columns = list(range(POINTS)), list(range(OBJECTIVES))
    random.shuffle(order)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    moved = points[order][:, columns]
    assert (
        np.asarray(_nondominated(moved, real[order])).tolist()
        == np.asarray(_nondominated(points, real))[order].tolist()
    )
    assert np.asarray(_fronts(moved, real[order])).tolist() == np.asarray(_fronts(points, real))[order].tolist()


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float32, (POINTS, OBJECTIVES), elements=st.integers(-8, 8)),
    masks,
    arrays(np.float32, OBJECTIVES, elements=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**30])),
)
def test_scaling_objectives_changes_no_membership(points: np.ndarray, real: np.ndarray, scale: np.ndarray) -> None:
    """By powers of two, which floats multiply by without rounding."""
    for kernel in (_nondominated, _fronts):
        assert np.asarray(kernel(points * scale, real)).tolist() == np.asarray(kernel(points, real)).tolist()


def random_sets(random: np.random.Generator, shape: str, points: int, objectives: int) -> np.ndarray:
    """cube: few stand; sphere: all do; grid: ties and duplicates; line: one objective follows the other; same."""
    cube = random.random((points, objectives)).astype(np.float32)
    if shape == "sphere":
        return cube / np.linalg.norm(cube, axis=1, keepdims=True)
    if shape == "grid":
        return np.round(cube * 3)
    if shape == "line":
        return np.repeat(cube[:, :1], objectives, axis=1)
    return np.full_like(cube, 0.5) if shape == "same" else cube


SHAPES = ("cube", "sphere", "grid", "line", "same")


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_moocore_and_pymoo_agree(objectives: int) -> None:
    """On every shape of set, ours being padded to one size."""
    moocore = pytest.importorskip("moocore")
    sorting = pytest.importorskip("pymoo.util.nds.non_dominated_sorting").NonDominatedSorting()
    random = np.random.default_rng(0)
    for shape, points in product(SHAPES, (1, 10, 60)):
        given = random_sets(random, shape, points, objectives)
        padded, real = np.zeros((60, objectives), np.float32), np.arange(60) < points
        padded[:points] = given
        exact = given.astype(np.float64)
        kept, front = np.asarray(_nondominated(padded, real)), np.asarray(_fronts(padded, real))
        assert kept[:points].tolist() == moocore.is_nondominated(exact, keep_weakly=True).tolist()
        assert front[:points].tolist() == moocore.pareto_rank(exact).tolist()
        assert not kept[points:].any() and (front[points:] == 60).all()
        theirs = [sorted(one.tolist()) for one in sorting.do(exact)]
        assert [np.flatnonzero(front == level).tolist() for level in range(len(theirs))] == theirs


def test_pymoo_agrees_on_crowding() -> None:
    """pymoo takes the mean over objectives, and treats duplicates apart: the points are all different here."""
    peer = pytest.importorskip("pymoo.operators.survival.rank_and_crowding.metrics")
    given = random_sets(np.random.default_rng(1), "sphere", 30, 3)
    theirs = peer.calc_crowding_distance(given.astype(np.float64)) * 3
    np.testing.assert_allclose(_crowding(given, np.zeros(30, np.int32)), theirs, rtol=1e-5)


def test_double_precision_is_compared_as_it_is() -> None:
    with jax.enable_x64(True):
        points = jnp.array([[1.0, 1.0], [1.0 + 1e-15, 1.0]])
        assert nondominated(points, jnp.ones(2, bool)).tolist() == [True, False]
    assert nondominated(points.astype(np.float32), jnp.ones(2, bool)).tolist() == [True, True]


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (jnp.array(random_sets(random, shape, POINTS, OBJECTIVES)), jnp.array(random.random(POINTS) < 0.8))
        for shape in ("cube", "grid", "sphere")
    ]
    alike(nondominated, examples)
    alike(fronts, examples)
    alike(crowding, [(points, fronts(points, real)) for points, real in examples])
    alike(dominates, [(points[0], points[1]) for points, _ in examples])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        nondominated(jnp.ones((3, 2)), jnp.ones(4, bool))
