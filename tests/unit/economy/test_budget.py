"""A stream's budget is never overspent, whatever is wanted and whatever things turn out to cost."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.economy import budget
from rag_lab.errors import ConfigError

STEPS, ACTIONS = 60, 4
dollars = st.floats(1e-6, 1e-2)
shares = st.lists(st.floats(0, 1, width=32), min_size=STEPS, max_size=STEPS)


@jax.jit
def play(purse: budget.Purse, wishes: jax.Array, shares: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Each step takes the affordable action that is wanted most; it costs some share of the most that it can."""

    def step(purse: budget.Purse, at: tuple[jax.Array, jax.Array]) -> tuple[budget.Purse, tuple[jax.Array, ...]]:
        wish, share = at
        affordable = budget.affordable(purse)
        action = jnp.argmax(jnp.where(affordable, wish, -1))
        cost = share * purse.most[action]
        return budget.pay(purse, cost), (cost, affordable[action])

    return jax.lax.scan(step, purse, (wishes, shares))[1]


def windows(paid: np.ndarray, window: int) -> np.ndarray:
    """What any `window` answers in a row cost, in exact enough sums; a shorter stream is one window."""
    exact = np.concatenate([np.zeros(window - 1), np.asarray(paid, np.float64)])
    return np.lib.stride_tricks.sliding_window_view(exact, window).sum(axis=1)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(dollars, min_size=ACTIONS, max_size=ACTIONS),
    st.floats(1.0, 30.0),
    st.sampled_from([1, 2, 7, 25]),
    shares,
    st.integers(0, 2**32 - 1),
)
def test_no_window_is_ever_overspent_and_something_can_always_be_afforded(
    most: list[float], times: float, window: int, shares: list[float], seed: int
) -> None:
    """The budget is `times` what the cheapest action needs."""
    usd_per_1k = min(most) * 1000 * times * (1 + 1e-4)
    purse = budget.begin(usd_per_1k, window, np.array(most), "router.stream")
    wishes = jnp.asarray(np.random.default_rng(seed).random((STEPS, ACTIONS)), jnp.float32)
    paid, afforded = play(purse, wishes, jnp.asarray(shares, jnp.float32))
    assert bool(afforded.all())
    assert windows(np.asarray(paid), window).max() <= usd_per_1k * window / 1000


def test_by_hand() -> None:
    """Windows of 3 with 10 to spend; actions can cost 1 or 7. After a 7, 2 must be left for two cheap ones."""
    purse = budget.begin(10_000 / 3 * 1.0001, 3, np.array([1.0, 7.0]), "router.stream")
    assert budget.affordable(purse).tolist() == [True, True]
    purse = budget.pay(purse, jnp.float32(7))
    assert budget.affordable(purse).tolist() == [True, False]
    assert float(budget.used(purse)) == pytest.approx(0.7, rel=1e-3)
    for _ in range(2):
        purse = budget.pay(purse, jnp.float32(1))
    assert purse.spent.tolist() == [7, 1, 1]
    assert float(budget.used(purse)) == pytest.approx(0.2, rel=1e-3)  # the 7 is about to leave
    assert budget.affordable(purse).tolist() == [True, True]


def test_everything_is_spent_where_much_is_wanted() -> None:
    purse = budget.begin(2000.2, 25, np.array([1.0, 3.0]), "router.stream")
    greedy = jnp.tile(jnp.array([0.0, 1.0]), (STEPS, 1))
    paid, _ = play(purse, greedy, jnp.ones(STEPS))
    assert windows(np.asarray(paid), 25).max() == pytest.approx(49, abs=2)


def test_a_preference_tightens_with_what_is_used() -> None:
    weights = jnp.array([0.2, 0.5, 0.3])
    assert budget.tighten(weights, jnp.float32(0), 2.0).tolist() == weights.tolist()
    np.testing.assert_allclose(budget.tighten(weights, jnp.float32(0.5), 2.0), [0.4, 0.375, 0.225])
    assert budget.tighten(weights, jnp.float32(1.0), 2.0).tolist() == [1, 0, 0]
    assert budget.tighten(weights, jnp.float32(3.0), 2.0).tolist() == [1, 0, 0]


def test_a_budget_below_the_cheapest_action_is_refused_and_the_advice_is_enough() -> None:
    most = np.array([2e-4, 3e-3])
    with pytest.raises(ConfigError) as refused:
        budget.begin(0.19, 1000, most, "router.stream")
    assert str(refused.value).startswith(
        "router.stream.usd_per_1k: given 0.19; the cheapest action can cost 0.2 per 1,000 answers; give at least 0."
    )
    budget.begin(float(str(refused.value).rpartition(" ")[2]), 1000, most, "router.stream")
