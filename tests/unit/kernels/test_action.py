from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.action import Action, Candidates, ranked, scores
from rag_lab.kernels.fuse import convex

_scores = jax.jit(scores)
PLACES, K = 12, 60.0


def action(alpha: float, by_rank: bool = False, late: float = 0.0, depth: int = PLACES) -> Action:
    return Action(jnp.float32(alpha), jnp.asarray(by_rank), jnp.float32(late), jnp.int32(depth))


def candidates(seed: int, count: int = PLACES) -> Candidates:
    random = np.random.default_rng(seed)
    lexical = random.random(PLACES) * random.integers(0, 2, PLACES) * 9
    dense, late = random.random((2, PLACES))
    arrays = (jnp.array(one, jnp.float32) for one in (lexical, dense, late))
    return ranked(*arrays, jnp.arange(PLACES) < count)


def test_by_hand() -> None:
    """Depth 1 keeps each ranker's best: places 0 and 2 of four. Late wins by 0.75 against 0.25."""
    pool = ranked(
        *map(jnp.array, ([9.0, 5.0, 1.0, 0.0], [0.1, 0.2, 0.8, 0.3], [0.2, 9.0, 0.4, 9.0])), jnp.ones(4, bool)
    )
    found = scores(action(1.0, late=0.75, depth=1), pool, jnp.float32(K))
    assert found.tolist() == [0.25, -math.inf, 0.75, -math.inf]
    found = scores(action(1.0, by_rank=True, depth=1), pool, jnp.float32(K))
    assert found.tolist() == [1, -math.inf, 0, -math.inf]


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 1000), st.integers(1, PLACES), st.floats(0, 1, width=32), st.booleans(),
    st.sampled_from([0.0, 0.25, 1.0]), st.integers(1, PLACES),
)  # fmt: skip
def test_the_naive_action_agrees(seed: int, count: int, alpha: float, by_rank: bool, late: float, depth: int) -> None:
    pool = candidates(seed, count)
    found = np.asarray(_scores(action(alpha, by_rank, late, depth), pool, jnp.float32(K)))
    lexical, dense, tokens = (np.asarray(one, np.float64)[:count] for one in pool[:3])
    expected = reference.act(lexical, dense, tokens, alpha, by_rank, late, depth, K)
    # Reciprocal ranks lie close together before they are stretched to [0, 1].
    np.testing.assert_allclose(found[:count], expected, atol=1e-4 if by_rank else 1e-5)
    assert (found[count:] == -math.inf).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 1000), st.integers(1, PLACES), st.floats(0, 1, width=32))
def test_a_plain_action_is_the_convex_combination_bit_for_bit(seed: int, count: int, alpha: float) -> None:
    pool = candidates(seed, count)._replace(late=jnp.full(PLACES, jnp.nan))
    plain = jax.jit(convex)(pool.lexical, pool.dense, pool.real, jnp.float32(alpha))
    np.testing.assert_array_equal(_scores(action(alpha), pool, jnp.float32(K)), plain)


def test_ranks_start_at_one_and_ties_go_by_place() -> None:
    pool = ranked(jnp.array([1.0, 3.0, 1.0, 9.0]), jnp.ones(4), jnp.ones(4), jnp.array([True, True, True, False]))
    assert pool.lexical_rank.tolist() == [2, 1, 3, 4]
    assert pool.dense_rank.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("depth", [1, 3, PLACES])
def test_depth_lets_in_each_ranker_s_best(depth: int) -> None:
    pool = candidates(3)
    in_play = np.isfinite(_scores(action(0.5, depth=depth), pool, jnp.float32(K)))
    expected = {*reference.top(np.asarray(pool.lexical), depth), *reference.top(np.asarray(pool.dense), depth)}
    assert set(np.flatnonzero(in_play).tolist()) == expected


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    examples = [
        (action(0.2 * seed, seed % 2 == 0, 0.3 * (seed % 2), 2 + seed), candidates(seed), jnp.float32(K))
        for seed in range(4)
    ]
    alike(scores, examples)
    alike(ranked, [pool[:4] for _, pool, _ in examples])
