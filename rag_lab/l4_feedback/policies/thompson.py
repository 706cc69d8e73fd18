"""Thompson sampling over the actions, one bandit for each domain, with Gaussian rewards.

Before any evidence an action's mean reward is believed to fall linearly with the distance of its α from the domain's
preset. See `rag_lab.kernels.thompson` for the mathematics and its sources.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson
from rag_lab.kernels.propensity import propensity
from rag_lab.l4_feedback.policy import Belief, Context, Lag, Pace, Policy, Rounds, Sets, Setting, normals

PULLS = 1000  # of one arm: twice the standing horizon
NODES_PER_DEVIATION = 32  # of the quadrature, over the ±8 standard deviations of the widest arm: two per narrow one


def arms(setting: Setting, mean: float, slope: float, strength: float, reward_sd: float) -> thompson.Arms:
    """Every place's arms [C, A] before any evidence."""
    prior = jnp.asarray(setting.prior(mean, slope))
    return thompson.Arms(prior, jnp.full(prior.shape, strength, jnp.float32), jnp.float32(reward_sd))


def of(state: thompson.Arms, place: Int[Array, ""]) -> thompson.Arms:
    """One place's arms."""
    return thompson.Arms(state.mean[place], state.strength[place], state.reward_sd)


def put(state: thompson.Arms, place: Int[Array, ""], new: thompson.Arms) -> thompson.Arms:
    """The state with new arms at a place. By a mask: under vmap a scatter is many times slower."""
    here = (jnp.arange(state.mean.shape[0]) == place)[:, None]
    return state._replace(
        mean=jnp.where(here, new.mean, state.mean), strength=jnp.where(here, new.strength, state.strength)
    )


def chance(key: Array, state: thompson.Arms, shape: tuple[int, ...]) -> Float[Array, "... A"]:
    """A standard normal number for each arm."""
    return normals(key, shape, state.mean.shape[-1])


def act(chance: Float[Array, " A"], state: thompson.Arms, context: Context) -> Int[Array, ""]:
    """The arm with the largest sample."""
    return thompson.draw(chance, of(state, context.place))


def update(
    state: thompson.Arms, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> thompson.Arms:
    """The conjugate update of one arm."""
    return put(state, context.place, thompson.observe(of(state, context.place), action, reward, weight))


def greedy(state: thompson.Arms, context: Context) -> Int[Array, ""]:
    """The arm with the largest posterior mean."""
    return jnp.argmax(state.mean[context.place])


def belief(state: thompson.Arms, context: Context) -> Belief:
    """The posterior of each arm's mean reward."""
    own = of(state, context.place)
    return Belief(own.mean, thompson.deviation(own))


def chances(state: thompson.Arms, context: Context, nodes: int) -> Float[Array, " A"]:
    """The probability of each arm."""
    return propensity(*belief(state, context), nodes)


def nodes(strength: float) -> int:
    """Of the quadrature, for arms of this prior strength: their deviations differ most between an arm never pulled
    and one pulled PULLS times, by √((prior + PULLS)/prior)."""
    return 1 << math.ceil(math.log2(NODES_PER_DEVIATION * math.sqrt(1 + PULLS / strength)))


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    reward_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy.

    prior_mean: believed mean reward at the preset α; prior_slope: how much it falls by a unit of α; without
    presets it is flat. prior_strength: how many observations the belief is worth. reward_sd: standard deviation
    of one reward. actions, update_every, delay: see `policy`.
    """

    def init(setting: Setting) -> thompson.Arms:
        return arms(setting, prior_mean, prior_slope, prior_strength, reward_sd)

    return Policy(
        init=init,
        chance=chance,
        act=act,
        update=update,
        greedy=greedy,
        propensity=partial(chances, nodes=nodes(prior_strength)),
        belief=belief,
        per_domain=True,
        contextual=False,
        learns=True,
        fitted=True,
        actions=actions,
        pace=Pace(update_every, delay),
    )
