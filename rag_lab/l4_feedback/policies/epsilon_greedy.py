"""ε-greedy: the action with the best mean so far, but now and then any of them (Sutton and Barto 2018, ch. 2).

Means start from the same belief as `thompson`'s.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson as kernel
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Belief, Context, Lag, Pace, Policy, Rounds, Sets, Setting, always


class Greedy(NamedTuple):
    """arms: the means, and how often each was seen; epsilon: the share of decisions left to chance."""

    arms: kernel.Arms
    epsilon: Float[Array, ""]


def _chance(key: Array, state: Greedy, shape: tuple[int, ...]) -> tuple[Float[Array, ...], Float[Array, ...]]:
    """Whether to explore, and where: two uniform numbers."""
    whether, where = jax.random.split(key)
    return jax.random.uniform(whether, shape), jax.random.uniform(where, shape)


def _act(chance: tuple[Array, Array], state: Greedy, context: Context) -> Int[Array, ""]:
    whether, where = chance
    any_of_them = (where * state.arms.mean.shape[1]).astype(jnp.int32)
    return jnp.where(whether < state.epsilon, any_of_them, _greedy(state, context))


def _update(
    state: Greedy, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Greedy:
    return state._replace(arms=thompson.update(state.arms, context, action, reward, weight))


def _greedy(state: Greedy, context: Context) -> Int[Array, ""]:
    return thompson.greedy(state.arms, context)


def _propensity(state: Greedy, context: Context) -> Float[Array, " A"]:
    actions = state.arms.mean.shape[1]
    return (1 - state.epsilon) * always(_greedy(state, context), actions) + state.epsilon / actions


def _belief(state: Greedy, context: Context) -> Belief:
    return thompson.belief(state.arms, context)


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    epsilon: Annotated[float, Field(ge=0, le=1)],
    reward_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy. epsilon: share of decisions left to chance; reward_sd: only for showing what is believed; the
    others as for `thompson`."""

    def init(setting: Setting) -> Greedy:
        start = thompson.arms(setting, prior_mean, prior_slope, prior_strength, reward_sd)
        return Greedy(start, jnp.float32(epsilon))

    return Policy(
        init=init,
        chance=_chance,
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
