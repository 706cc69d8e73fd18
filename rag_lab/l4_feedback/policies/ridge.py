"""What full information buys on the same features: a ridge regression of every action's reward, fitted offline.

The judged queries of the tuned references' budget are its training set. It predicts by how much each action beats the
domain's best fixed one, and leaves that only where the prediction is positive. The penalty (Hoerl and Kennard 1970,
Technometrics 12) is chosen by the reward that the *chosen* actions earn in cross-validation, for each domain; no
regression at all, the best fixed action, is one of the choices and wins ties.

Shapes: J judged queries of one place, A actions, F features and a constant.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.l4_feedback.policy import (
    AT_ONCE,
    Belief,
    Chance,
    Context,
    Policy,
    Sets,
    Setting,
    State,
    always,
    no_chance,
)

NEVER = np.inf  # the penalty under which nothing is predicted


class Advantages(NamedTuple):
    """Predicted advantage of every action over the place's best fixed one: intercept and slopes."""

    best: Int[Array, " C"]
    weights: Float[Array, "C A F"]


def _with_constant(features: Float[np.ndarray, "J f"]) -> Float[np.ndarray, "J F"]:
    return np.column_stack([np.ones(len(features)), features])


def fit(x: Float[np.ndarray, "J F"], advantage: Float[np.ndarray, "J A"], penalty: float) -> Float[np.ndarray, "A F"]:
    """Ridge weights of each action; the constant is penalised like the rest, so that small samples stay put."""
    if penalty == NEVER:
        return np.zeros((advantage.shape[1], x.shape[1]))
    gram = x.T @ x + penalty * np.eye(x.shape[1])
    return np.linalg.solve(gram, x.T @ advantage).T


def choose(weights: Float[np.ndarray, "A F"], x: Float[np.ndarray, "J F"], best: int) -> Int[np.ndarray, " J"]:
    """The action with the largest predicted advantage, the best fixed one where none is positive."""
    predicted = x @ weights.T
    predicted[:, best] = 0
    found = predicted.argmax(axis=1)
    return np.where(predicted.max(axis=1) > 0, found, best)


def cross_validated(
    x: Float[np.ndarray, "J F"], rewards: Float[np.ndarray, "J A"], penalty: float, folds: int
) -> float:
    """Mean reward of the chosen actions on queries that the fit, and the best fixed action, have not seen."""
    fold = np.arange(len(x)) % folds
    earned = np.empty(len(x))
    for one in range(folds):
        own, rest = np.flatnonzero(fold == one), np.flatnonzero(fold != one)
        best = int(rewards[rest].mean(axis=0).argmax())
        weights = fit(x[rest], rewards[rest] - rewards[rest][:, [best]], penalty)
        earned[own] = rewards[own, choose(weights, x[own], best)]
    return float(earned.mean())


def _greedy(state: Advantages, context: Context) -> Int[Array, ""]:
    return jnp.argmax(_belief(state, context).mean)


def _belief(state: Advantages, context: Context) -> Belief:
    best, weights = state.best[context.place], state.weights[context.place]
    value = weights @ jnp.concatenate([jnp.ones(1), context.features])
    # The best fixed action wins ties: argmax takes the first, so the others are put a hair below nothing.
    value = jnp.where(value > 0, value, -jnp.finfo(jnp.float32).tiny)
    value = jnp.where(jnp.arange(len(value)) == best, 0, value)
    return Belief(value, jnp.zeros_like(value))


def _propensity(state: Advantages, context: Context) -> Float[Array, " A"]:
    return always(_greedy(state, context), state.weights.shape[1])


def _act(chance: Chance, state: Advantages, context: Context) -> Int[Array, ""]:
    return _greedy(state, context)


def _update(
    state: State, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> State:
    return state


def build(
    *,
    penalties: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)],
    folds: Annotated[int, Field(ge=2)],
    actions: Sets,
) -> Policy:
    """The policy. penalties: to choose from; folds: of the cross-validation that chooses."""

    def init(setting: Setting) -> Advantages:
        judged = setting.judged()
        best, weights = [], []
        for place in range(setting.places):
            own = judged.place == place
            if place == len(setting.domains) or own.sum() < 2 * folds:  # the unknown domain: all queries
                own = np.ones(len(judged.place), bool)
            x, rewards = _with_constant(judged.features[own]), judged.rewards[own].astype(np.float64)
            earned = {one: cross_validated(x, rewards, one, folds) for one in (NEVER, *sorted(penalties)[::-1])}
            penalty = max(earned, key=lambda one: round(earned[one], 9))  # ties to the first
            action = int(rewards.mean(axis=0).argmax())
            best.append(action)
            weights.append(fit(x, rewards - rewards[:, [action]], penalty))
        return Advantages(jnp.asarray(best, jnp.int32), jnp.asarray(np.stack(weights), jnp.float32))

    return Policy(
        init=init,
        chance=no_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=_propensity,
        belief=None,
        per_domain=True,
        contextual=True,
        learns=False,
        fitted=True,
        actions=actions,
        pace=AT_ONCE,
    )
