"""Choosing sentences: worked by hand, against a plain loop, and properties."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.extract import Taste, choose, relevance
from rag_lab.kernels.support import Match

PLACES, SIZE, MOST, COMPETING = 9, 4, 3, 6
OPEN = Taste(lexical=0.0, balance=1.0, floor=0.0, budget=1000)
_choose = jax.jit(partial(choose, competing=COMPETING, most=MOST))


class Example:
    """A pool of sentences; relevance without ties."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        vectors = random.normal(size=(PLACES, SIZE))
        self.vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        self.relevance = random.permutation(np.linspace(0.05, 0.95, PLACES)).astype(np.float32)
        self.tokens = random.integers(1, 30, PLACES).astype(np.int32)
        self.shown = random.random(PLACES) < 0.8

    def arguments(self, taste: Taste) -> tuple[Any, ...]:
        given = (self.relevance, self.shown, self.vectors, self.tokens)
        return (*map(jnp.asarray, given), Taste(*map(jnp.asarray, taste)))


tastes = st.builds(
    Taste,
    lexical=st.just(0.0),
    balance=st.floats(0, 1, width=32),
    floor=st.sampled_from([0.0, 0.3, 0.8]),
    budget=st.integers(0, 60),
)


def oracle(one: Example, taste: Taste) -> list[int]:
    """The plain loop."""
    ranked = sorted(np.flatnonzero(one.shown), key=lambda place: (-one.relevance[place], place))[:COMPETING]
    left = [place for place in ranked if one.relevance[place] >= taste.floor * one.relevance[ranked[0]]]
    chosen: list[int] = []
    budget = taste.budget
    while len(chosen) < MOST:
        fitting = [place for place in left if one.tokens[place] <= budget]
        if not fitting:
            break
        nearest = {p: max([0.0, *(float(one.vectors[p] @ one.vectors[c]) for c in chosen)]) for p in fitting}
        gains = [taste.balance * one.relevance[p] - (1 - taste.balance) * nearest[p] for p in fitting]
        best = fitting[int(np.argmax(gains))]
        chosen.append(int(best))
        left.remove(best)
        budget -= int(one.tokens[best])
    return chosen + [-1] * (MOST - len(chosen))


def test_relevance_by_hand() -> None:
    """A question of four words; the first sentence holds one of them, the second three."""
    found = jnp.array([[1, 0, 0, 0, 0], [1, 1, 1, 0, 0]], bool)
    matched = Match(jnp.array([0.9, 0.5]), found, jnp.ones(2, bool))
    np.testing.assert_allclose(relevance(matched, jnp.int32(4), 0.4), [0.64, 0.6], rtol=1e-6)
    np.testing.assert_allclose(relevance(matched, jnp.int32(0), 0.0), [0.9, 0.5], rtol=1e-6)


def test_by_hand() -> None:
    """The best is said; its twin is redundant; the third says something else; the last does not fit."""
    vectors = jnp.array([[1.0, 0], [1.0, 0], [0, 1.0], [0, 1.0]])
    value, tokens = jnp.array([0.9, 0.8, 0.5, 0.6]), jnp.array([10, 10, 10, 90])
    taste = Taste(0.0, 0.6, 0.0, 25)
    shown = jnp.ones(4, bool)
    assert choose(value, shown, vectors, tokens, taste, 4, 3).tolist() == [0, 2, -1]
    assert choose(value, shown, vectors, tokens, taste._replace(balance=1.0), 4, 3).tolist() == [0, 1, -1]
    assert choose(value, shown, vectors, tokens, taste._replace(floor=0.95), 4, 3).tolist() == [0, -1, -1]
    assert choose(value, shown, vectors, tokens, taste._replace(budget=9), 4, 3).tolist() == [-1, -1, -1]
    assert choose(value, jnp.zeros(4, bool), vectors, tokens, taste, 4, 3).tolist() == [-1, -1, -1]
    assert choose(value[:2], shown[:2], vectors[:2], tokens[:2], OPEN, 9, 3).tolist() == [0, 1, -1]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), tastes)
def test_the_plain_loop_agrees(seed: int, taste: Taste) -> None:
    one = Example(seed)
    assert _choose(*one.arguments(taste)).tolist() == oracle(one, taste)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), tastes)
def test_the_budget_is_kept_and_nothing_is_said_twice(seed: int, taste: Taste) -> None:
    one = Example(seed)
    chosen = [place for place in _choose(*one.arguments(taste)).tolist() if place >= 0]
    assert len(chosen) == len(set(chosen)) and one.shown[chosen].all()
    assert one.tokens[chosen].sum() <= taste.budget


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_with_relevance_alone_the_best_come_in_order(seed: int) -> None:
    one = Example(seed)
    best = sorted(np.flatnonzero(one.shown), key=lambda place: -one.relevance[place])[:MOST]
    assert _choose(*one.arguments(OPEN)).tolist()[: len(best)] == best


def test_alone_jitted_and_mapped(alike: Callable[..., Any]) -> None:
    taste = Taste(0.0, 0.7, 0.3, 40)
    alike(partial(choose, competing=COMPETING, most=MOST), [Example(seed).arguments(taste) for seed in range(4)])
