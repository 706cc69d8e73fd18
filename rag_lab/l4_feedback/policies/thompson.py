"""Thompson sampling over α, one bandit for each domain, with Gaussian rewards.

Before any evidence an action's mean reward is believed to fall linearly with its distance from the domain's
preset. See `rag_lab.kernels.thompson` for the mathematics and its sources.
"""

from __future__ import annotations

import math
from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels import thompson
from rag_lab.kernels.propensity import propensity
from rag_lab.l4_feedback.policy import Policy, Setting

PULLS = 1000  # of one arm: twice the standing horizon
NODES_PER_DEVIATION = (
    32  # of the quadrature, over the ±8 standard deviations of the widest arm: two per narrow one
)


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_strength: Annotated[float, Field(ge=0.01)],
    reward_sd: Annotated[float, Field(gt=0)],
) -> Policy:
    """The policy.

    prior_mean: believed mean reward at the preset α; prior_slope: how much it falls by a unit of α; without
    presets it is flat. prior_strength: how many observations the belief is worth. reward_sd: standard deviation
    of one reward.
    """

    # Deviations differ most between an arm never pulled and one pulled PULLS times: √((prior + PULLS)/prior).
    nodes = 1 << math.ceil(math.log2(NODES_PER_DEVIATION * math.sqrt(1 + PULLS / prior_strength)))

    def init(setting: Setting) -> thompson.Arms:
        shape = (len(setting.domains) + 1, len(setting.actions))
        distance = 0.0 if setting.presets is None else jnp.abs(setting.actions - setting.presets[:, None])
        mean = jnp.broadcast_to(jnp.float32(prior_mean) - prior_slope * distance, shape)
        return thompson.Arms(
            mean.astype(jnp.float32),
            jnp.full(shape, prior_strength, jnp.float32),
            jnp.full(shape[0], reward_sd, jnp.float32),
        )

    def of(state: thompson.Arms, context: Int[Array, ""]) -> thompson.Arms:
        return jax.tree.map(lambda x: x[context], state)

    def act(key: Array, state: thompson.Arms, context: Int[Array, ""]) -> Int[Array, ""]:
        return thompson.draw(key, of(state, context))

    def update(
        state: thompson.Arms, context: Int[Array, ""], action: Int[Array, ""], reward: Float[Array, ""]
    ) -> thompson.Arms:
        new = thompson.observe(of(state, context), action, reward)
        return jax.tree.map(lambda whole, row: whole.at[context].set(row), state, new)

    def greedy(state: thompson.Arms, context: Int[Array, ""]) -> Int[Array, ""]:
        return jnp.argmax(state.mean[context])

    def chances(state: thompson.Arms, context: Int[Array, ""]) -> Float[Array, " A"]:
        arms = of(state, context)
        return propensity(arms.mean, thompson.deviation(arms), nodes)

    return Policy(init, act, update, greedy, chances, per_domain=True, learns=True, fitted=True)
