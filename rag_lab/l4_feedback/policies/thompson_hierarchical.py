"""Thompson sampling where domains share a prior: what one learns of an action moves the others' beliefs.

A domain's arm is its prior mean, plus a shift of that action which all domains share, plus a shift of its own
(`rag_lab.kernels.thompson.pooled`). Hierarchical Bayesian bandits: Hong et al. 2022, AISTATS. The unknown domain is a
place like the others.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson as kernel
from rag_lab.kernels.propensity import propensity
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Belief, Chance, Context, Lag, Pace, Policy, Rounds, Sets, Setting, normals


class Evidence(NamedTuple):
    """seen, total: observations and their summed rewards; prior: `mean` of each arm, `strength` of the shared
    shifts; between: standard deviation of a domain's own shift."""

    seen: Float[Array, "C A"]
    total: Float[Array, "C A"]
    prior: kernel.Arms
    between: Float[Array, ""]


def _arms(state: Evidence, context: Context) -> kernel.Arms:
    return thompson.of(kernel.pooled(*state), context.place)


def _chance(key: Array, state: Evidence, shape: tuple[int, ...]) -> Float[Array, "... A"]:
    return normals(key, shape, state.seen.shape[-1])


def _act(chance: Chance, state: Evidence, context: Context) -> Int[Array, ""]:
    return kernel.draw(chance, _arms(state, context))


def _update(
    state: Evidence, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Evidence:
    places, actions = state.seen.shape
    here = (jnp.arange(places) == context.place)[:, None] & (jnp.arange(actions) == action)
    worth = jnp.where(here, weight, 0)
    return state._replace(seen=state.seen + worth, total=state.total + worth * reward)


def _greedy(state: Evidence, context: Context) -> Int[Array, ""]:
    return jnp.argmax(_arms(state, context).mean)


def _belief(state: Evidence, context: Context) -> Belief:
    arms = _arms(state, context)
    return Belief(arms.mean, kernel.deviation(arms))


def _propensity(state: Evidence, context: Context, nodes: int) -> Float[Array, " A"]:
    return propensity(*_belief(state, context), nodes)


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    reward_sd: Annotated[float, Field(gt=0)],
    between_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy.

    prior_strength: how many observations the belief about the shared shifts is worth; between_sd: standard deviation
    of a domain's own shift around them; the others as for `thompson`.
    """

    def init(setting: Setting) -> Evidence:
        prior = jnp.asarray(setting.prior(prior_mean, prior_slope))
        strength = jnp.full(prior.shape[1], prior_strength, jnp.float32)
        nothing = jnp.zeros(prior.shape, jnp.float32)
        return Evidence(nothing, nothing, kernel.Arms(prior, strength, jnp.float32(reward_sd)), jnp.float32(between_sd))

    # The widest arm has the variance between² + σ²/strength, as if this many observations were its prior.
    widest = 1 / (1 / prior_strength + (between_sd / reward_sd) ** 2)
    return Policy(
        init=init,
        chance=_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=partial(_propensity, nodes=thompson.nodes(widest)),
        belief=_belief,
        per_domain=True,
        contextual=False,
        learns=True,
        fitted=True,
        actions=actions,
        pace=Pace(update_every, delay),
    )
