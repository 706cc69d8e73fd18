"""Linear Thompson sampling on the query's features: which action pays on *this* query?

The reward is believed linear in every product of the action's own features and the query's (Li et al. 2010, WWW, the
hybrid model of LinUCB; Agrawal and Goyal 2013, ICML, for Thompson sampling), with a belief for each domain.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.kernels.linear_thompson import Coefficients, draw
from rag_lab.l4_feedback.policies import linear
from rag_lab.l4_feedback.policy import Belief, Chance, Context, Lag, Pace, Policy, Rounds, Sets, Setting, normals


class Model(NamedTuple):
    """belief: about the coefficients of every place; basis: each action's own features; used: which of the query's
    features are looked at."""

    belief: Coefficients
    basis: Float[Array, "A K"]
    used: Int[Array, " U"]


def _phi(state: Model, context: Context) -> Float[Array, "A P"]:
    return jax.vmap(linear.cross, in_axes=(0, None))(state.basis, context.features[state.used])


def _values(state: Model, context: Context, theta: Float[Array, " P"]) -> Float[Array, " A"]:
    """φ·θ of every action, without ever making φ: (1, basis) · Θ · (1, features)."""
    features = jnp.concatenate([jnp.ones(1), context.features[state.used]])
    each = theta.reshape(-1, len(features)) @ features
    return each[0] + state.basis @ each[1:]


def _chance(key: Array, state: Model, shape: tuple[int, ...]) -> Float[Array, "... P"]:
    return normals(key, shape, state.belief.mean.shape[-1])


def _act(chance: Chance, state: Model, context: Context) -> Int[Array, ""]:
    return jnp.argmax(_values(state, context, draw(chance, linear.of(state.belief, context.place))))


def _update(
    state: Model, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Model:
    phi = linear.cross(state.basis[action], context.features[state.used])
    return state._replace(belief=linear.observe(state.belief, context.place, phi, reward, weight))


def _greedy(state: Model, context: Context) -> Int[Array, ""]:
    return jnp.argmax(_values(state, context, state.belief.mean[context.place]))


def _belief(state: Model, context: Context) -> Belief:
    return linear.belief(linear.of(state.belief, context.place), _phi(state, context))


def _propensity(state: Model, context: Context) -> Float[Array, " A"]:
    return linear.propensity(linear.of(state.belief, context.place), _phi(state, context))


def build(
    *,
    features: tuple[str, ...],
    prior_mean: float,
    level_sd: Annotated[float, Field(gt=0)],
    action_sd: Annotated[float, Field(gt=0)],
    query_sd: Annotated[float, Field(gt=0)],
    both_sd: Annotated[float, Field(gt=0)],
    reward_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy.

    features: names of the query's features that are looked at; prior_mean: believed reward of everything; level_sd,
    action_sd, query_sd, both_sd: prior standard deviations of the reward's level, and of what a standard deviation
    of an action's feature, a query's, or their product changes; reward_sd: of one reward. ConfigError where a feature
    does not exist.
    """

    def init(setting: Setting) -> Model:
        unknown = [name for name in features if name not in setting.features]
        if unknown:
            raise ConfigError(
                f"policy.features: no feature '{unknown[0]}'; allowed: {', '.join(setting.features) or 'none'}"
            )
        used = [setting.features.index(name) for name in features]
        shape = linear.Shape(level_sd, action_sd, query_sd, both_sd)
        deviations = linear.prior(shape, setting.basis.shape[1], len(used))
        mean = np.zeros(len(deviations))
        mean[0] = prior_mean
        belief = linear.start(setting.places, mean, np.diag(deviations), reward_sd)
        return Model(belief, jnp.asarray(setting.basis, jnp.float32), jnp.asarray(used, jnp.int32))

    return Policy(
        init=init,
        chance=_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=_propensity,
        belief=_belief,
        per_domain=True,
        contextual=True,
        learns=True,
        fitted=True,
        actions=actions,
        pace=Pace(update_every, delay),
    )
