"""Upper confidence bounds: the action whose mean reward could be the highest (Auer, Cesa-Bianchi and Fischer 2002,
Machine Learning 47: UCB1, with the width as a setting and the rewards' spread in it).

index = mean + width · σ · √(ln(1 + t) / n), t the observations in this domain, n those of the action with its prior's.
Nothing is left to chance.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson as kernel
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import (
    Belief,
    Chance,
    Context,
    Lag,
    Pace,
    Policy,
    Rounds,
    Sets,
    Setting,
    always,
    no_chance,
)


class Bounds(NamedTuple):
    """arms: the means, and how often each was seen; width: of the bounds; seen: observations in each place."""

    arms: kernel.Arms
    width: Float[Array, ""]
    seen: Float[Array, " C"]


def _act(chance: Chance, state: Bounds, context: Context) -> Int[Array, ""]:
    own = thompson.of(state.arms, context.place)
    reach = jnp.sqrt(jnp.log1p(state.seen[context.place]))
    return jnp.argmax(own.mean + state.width * reach * kernel.deviation(own))


def _update(
    state: Bounds, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Bounds:
    here = jnp.arange(state.seen.shape[0]) == context.place
    arms = thompson.update(state.arms, context, action, reward, weight)
    return state._replace(arms=arms, seen=state.seen + jnp.where(here, weight, 0))


def _greedy(state: Bounds, context: Context) -> Int[Array, ""]:
    return thompson.greedy(state.arms, context)


def _propensity(state: Bounds, context: Context) -> Float[Array, " A"]:
    return always(_act(None, state, context), state.arms.mean.shape[1])


def _belief(state: Bounds, context: Context) -> Belief:
    return thompson.belief(state.arms, context)


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    width: Annotated[float, Field(ge=0)],
    reward_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy. width: of the bounds, in standard deviations of a mean (UCB1's is √2); the others as for
    `thompson`."""

    def init(setting: Setting) -> Bounds:
        start = thompson.arms(setting, prior_mean, prior_slope, prior_strength, reward_sd)
        return Bounds(start, jnp.float32(width), jnp.zeros(setting.places))

    return Policy(
        init=init,
        chance=no_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=_propensity,
        belief=_belief,
        per_domain=True,
        contextual=False,
        learns=True,
        fitted=True,
        actions=actions,
        pace=Pace(update_every, delay),
    )
