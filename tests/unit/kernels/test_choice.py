from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.choice import chebyshev, euclidean, front, nearest

ACTIONS, OBJECTIVES = 9, 3
MEASURES = {"chebyshev": partial(chebyshev, augmentation=0.01), "euclidean": euclidean}
_nearest = {name: jax.jit(partial(nearest, measure=measure)) for name, measure in MEASURES.items()}
EVEN, FREE, ALL = np.ones(2, np.float32), np.full(2, np.inf, np.float32), np.ones(5, bool)
# Cost and negated quality: a front of four, not convex at (2, -5), and (3, -5) which is dominated.
EXAMPLE = np.array([[0, 0], [2, -5], [4, -9], [8, -10], [3, -5]], np.float32)
sets = arrays(np.float32, (ACTIONS, OBJECTIVES), elements=st.integers(0, 5))
weights = arrays(np.float32, OBJECTIVES, elements=st.sampled_from([0.0, 0.5, 1.0, 3.0]))
limits = arrays(np.float32, OBJECTIVES, elements=st.sampled_from([np.inf, 4.0, 2.0, 0.0]))
masks = arrays(np.bool_, ACTIONS).filter(np.any)
names = st.sampled_from(sorted(MEASURES))


def naive(objectives: np.ndarray, permitted: np.ndarray, weights: np.ndarray, limits: np.ndarray, name: str) -> int:
    """The same in a loop over actions; a tuple's order says what counts first."""

    def beaten(one: np.ndarray) -> bool:
        return any((o <= one).all() and (o < one).any() for o in objectives[permitted])

    members = [a for a in range(len(objectives)) if permitted[a] and not beaten(objectives[a])]
    low, high = objectives[members].min(axis=0), objectives[members].max(axis=0)
    span = np.where(high > low, high - low, 1)

    def rank(action: int) -> tuple[float, float]:
        excess = max(0.0, *((objectives[action] - limits) / span))
        share = (objectives[action] - low) / span
        if name == "euclidean":
            return excess, np.float32(np.sqrt(np.sum((weights * share) ** 2)))
        return excess, np.float32(max(weights * share) + np.float32(0.01) * share.sum())

    return min(members, key=rank)


def test_both_measures_by_hand() -> None:
    """Shares: (0, 1), (¼, ½), (½, 1/10), (1, 0). Chebyshev: ½ + ¾ρ or ½ + 6/10 ρ; Euclid: 0.56 or 0.51."""
    for name in MEASURES:
        assert int(_nearest[name](EXAMPLE, ALL, EVEN, FREE)) == 2
    assert int(_nearest["chebyshev"](EXAMPLE, ALL, np.array([2, 1], np.float32), FREE)) == 1
    assert int(_nearest["euclidean"](EXAMPLE, ALL, np.array([1, 0], np.float32), FREE)) == 0


def test_chebyshev_reaches_a_point_that_no_weighted_sum_would() -> None:
    """(1, 2) of (0, 3), (1, 2.9), (3, 0) lies outside the hull of the others."""
    objectives = np.array([[0, 3], [2, 2], [3, 0]], np.float32)
    assert int(_nearest["chebyshev"](objectives, np.ones(3, bool), EVEN, FREE)) == 1
    assert all(objectives[1] @ w > min(objectives[0] @ w, objectives[2] @ w) for w in np.eye(2) + 0.3)


def test_distances_by_hand() -> None:
    shares, weights = jnp.array([[0.5, 0.25]]), jnp.array([1.0, 4.0])
    assert chebyshev(shares, weights, augmentation=0.1).tolist() == pytest.approx([1.075])
    assert euclidean(shares, weights).tolist() == pytest.approx([np.sqrt(1.25)])


def test_limits_are_kept_where_they_can_be() -> None:
    choose = _nearest["chebyshev"]
    assert int(choose(EXAMPLE, ALL, EVEN, np.array([3, np.inf], np.float32))) == 1
    assert int(choose(EXAMPLE, ALL, EVEN, np.array([np.inf, -10], np.float32))) == 3


def test_where_none_can_the_nearest_to_the_limits_competes() -> None:
    """At most 2 and at least 9: in shares of the range (4 − 2)/8 is less than (9 − 5)/10."""
    assert int(_nearest["chebyshev"](EXAMPLE, ALL, EVEN, np.array([2, -9], np.float32))) == 2


def test_of_equal_actions_the_first() -> None:
    same = np.ones((5, 2), np.float32)
    assert int(_nearest["euclidean"](same, np.arange(5) > 1, EVEN, FREE)) == 2


def test_the_front_and_its_range_by_hand() -> None:
    found = front(jnp.array(EXAMPLE), jnp.array([False, True, True, True, True]))
    assert found.member.tolist() == [False, True, True, True, False]
    assert found.ideal.tolist() == [2, -10] and found.nadir.tolist() == [8, -5]


@settings(max_examples=80, deadline=None)
@given(sets, masks, weights, limits, names)
def test_the_loop_agrees(
    objectives: np.ndarray, permitted: np.ndarray, weights: np.ndarray, limits: np.ndarray, name: str
) -> None:
    chosen = int(_nearest[name](objectives, permitted, weights, limits))
    assert objectives[chosen].tolist() == objectives[naive(objectives, permitted, weights, limits, name)].tolist()


@settings(max_examples=60, deadline=None)
@given(sets, masks, weights, limits, names)
def test_the_choice_is_permitted_on_the_front_and_within_limits(
    objectives: np.ndarray, permitted: np.ndarray, weights: np.ndarray, limits: np.ndarray, name: str
) -> None:
    chosen = int(_nearest[name](objectives, permitted, weights, limits))
    others = objectives[permitted]
    better = (others <= objectives[chosen]).all(axis=1) & (others < objectives[chosen]).any(axis=1)
    assert permitted[chosen] and not better.any()
    if (others <= limits).all(axis=1).any():
        assert (objectives[chosen] <= limits).all()


@settings(max_examples=40, deadline=None)
@given(sets, weights, names, st.sampled_from([0.25, 2.0, 1024.0]), st.integers(-3, 3))
def test_units_change_nothing(objectives: np.ndarray, weights: np.ndarray, name: str, scale: float, shift: int) -> None:
    """Another unit and another origin, of every objective."""
    free, everything = np.full(OBJECTIVES, np.inf, np.float32), np.ones(ACTIONS, bool)
    moved = ((objectives + shift) * scale).astype(np.float32)
    assert int(_nearest[name](moved, everything, weights, free)) == int(
        _nearest[name](objectives, everything, weights, free)
    )


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (
            jnp.array(random.random((ACTIONS, OBJECTIVES)), jnp.float32),
            jnp.array(random.random(ACTIONS) < 0.9),
            jnp.array(random.random(OBJECTIVES), jnp.float32),
            jnp.array([0.9, np.inf, 0.8], jnp.float32),
        )
        for _ in range(3)
    ]
    for measure in MEASURES.values():
        alike(partial(nearest, measure=measure), examples)
    alike(front, [example[:2] for example in examples])
