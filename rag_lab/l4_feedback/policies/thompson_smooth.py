"""Thompson sampling where like actions are believed to be worth alike: a Gaussian process over the action set.

Chowdhury and Gopalan 2017, ICML (GP-TS). The prior is `thompson`'s, but rewards of two actions hang together the more,
the nearer their own features are (a squared-exponential kernel), so one observation teaches about the neighbours too.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.kernels.linear_thompson import Coefficients, draw
from rag_lab.l4_feedback.policies import linear
from rag_lab.l4_feedback.policy import Belief, Chance, Context, Lag, Pace, Policy, Rounds, Sets, Setting, normals

JITTER = 1e-4  # of the prior variance, on the diagonal: like actions are never quite the same


class Process(NamedTuple):
    """The belief about every action of every place: P = A."""

    belief: Coefficients


def _chance(key: Array, state: Process, shape: tuple[int, ...]) -> Float[Array, "... A"]:
    return normals(key, shape, state.belief.mean.shape[-1])


def _act(chance: Chance, state: Process, context: Context) -> Int[Array, ""]:
    return jnp.argmax(draw(chance, linear.of(state.belief, context.place)))


def _update(
    state: Process, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Process:
    phi = jax.nn.one_hot(action, state.belief.mean.shape[-1])
    return Process(linear.observe(state.belief, context.place, phi, reward, weight))


def _greedy(state: Process, context: Context) -> Int[Array, ""]:
    return jnp.argmax(state.belief.mean[context.place])


def _belief(state: Process, context: Context) -> Belief:
    own = linear.of(state.belief, context.place)
    return Belief(own.mean, jnp.linalg.norm(own.root, axis=1))


def _propensity(state: Process, context: Context) -> Float[Array, " A"]:
    own = linear.of(state.belief, context.place)
    return linear.propensity(own, jnp.eye(own.mean.shape[0]))


def build(
    *,
    prior_mean: float,
    prior_slope: Annotated[float, Field(ge=0)],
    prior_sd: Annotated[float, Field(gt=0)],
    shared_sd: Annotated[float, Field(ge=0)],
    reach: Annotated[float, Field(gt=0)],
    reward_sd: Annotated[float, Field(gt=0)],
    actions: Sets,
    update_every: Rounds,
    delay: Lag,
) -> Policy:
    """The policy.

    prior_sd: standard deviation of an action's mean reward around its prior; shared_sd: of what all actions of a
    domain have in common, its level; reach: distance of two actions, in standard deviations of their features, at
    which their rewards' correlation has fallen to 61%. The others as for `thompson`.
    """

    def init(setting: Setting) -> Process:
        away = np.square(setting.basis[:, None] - setting.basis[None]).sum(axis=2)
        covariance = prior_sd**2 * (np.exp(-away / (2 * reach**2)) + JITTER * np.eye(len(away))) + shared_sd**2
        root = np.linalg.cholesky(covariance)
        mean = setting.prior(prior_mean, prior_slope)
        return Process(linear.start(setting.places, mean[0], root, reward_sd)._replace(mean=jnp.asarray(mean)))

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
