"""Thompson sampling for a world that drifts: before each update all evidence of the domain fades a little.

Discounted Thompson sampling (Raj and Kalyani 2017, arXiv:1707.09727; Qi et al. 2023, arXiv:2305.10718, for Gaussian
rewards). The rest is `thompson`.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson as kernel
from rag_lab.l4_feedback.policies import thompson
from rag_lab.l4_feedback.policy import Belief, Chance, Context, Lag, Pace, Policy, Rounds, Sets, Setting


class Fading(NamedTuple):
    """arms: the belief; prior: what it fades to; keep: the share of evidence left after one update."""

    arms: kernel.Arms
    prior: kernel.Arms
    keep: Float[Array, ""]


def _chance(key: Array, state: Fading, shape: tuple[int, ...]) -> Float[Array, "... A"]:
    return thompson.chance(key, state.arms, shape)


def _act(chance: Chance, state: Fading, context: Context) -> Int[Array, ""]:
    return thompson.act(chance, state.arms, context)


def _update(
    state: Fading, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Fading:
    own, prior = thompson.of(state.arms, context.place), thompson.of(state.prior, context.place)
    new = kernel.observe(kernel.forget(own, prior, state.keep), action, reward, weight)
    return state._replace(arms=thompson.put(state.arms, context.place, new))


def _greedy(state: Fading, context: Context) -> Int[Array, ""]:
    return thompson.greedy(state.arms, context)


def _belief(state: Fading, context: Context) -> Belief:
    return thompson.belief(state.arms, context)


def _propensity(state: Fading, context: Context, nodes: int) -> Float[Array, " A"]:
    return thompson.chances(state.arms, context, nodes)


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    reward_sd: Annotated[float, Field(gt=0)],
    keep: Annotated[float, Field(gt=0, le=1)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy. keep: share of a domain's evidence left after one update of it; the others as for `thompson`."""

    def init(setting: Setting) -> Fading:
        start = thompson.arms(setting, prior_mean, prior_slope, prior_strength, reward_sd)
        return Fading(start, start, jnp.float32(keep))

    return Policy(
        init=init,
        chance=_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=partial(_propensity, nodes=thompson.nodes(prior_strength)),
        belief=_belief,
        per_domain=True,
        contextual=False,
        learns=True,
        fitted=True,
        actions=actions,
        pace=Pace(update_every, delay),
    )
