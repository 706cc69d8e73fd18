"""Bayesian linear regression of the reward, one observation at a time, for Thompson sampling.

The reward of an action with features φ is φ·θ + Normal(0, σ²); the belief about θ is Normal(mean, R·Rᵀ) (Agrawal
and Goyal 2013, ICML; Russo et al. 2018, Foundations and Trends in ML 11(1)). The belief keeps a square root R of
the covariance, not its inverse: Potter's update (Bierman 1977, Factorization Methods for Discrete Sequential
Estimation, ch. II) is a rank-one change of R that cannot lose positive definiteness in float32, and sampling is one
product. With φ = the unit vectors and a prior covariance over actions it is a Gaussian process on a finite set
(Chowdhury and Gopalan 2017, ICML).

Shapes: P coefficients.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Coefficients(NamedTuple):
    """Belief about θ. reward_sd: σ, standard deviation of one reward."""

    mean: Float[Array, " P"]
    root: Float[Array, "P P"]
    reward_sd: Float[Array, ""]


def draw(normals: Float[Array, " P"], belief: Coefficients) -> Float[Array, " P"]:
    """One θ from the belief, given standard normal numbers."""
    return belief.mean + belief.root @ normals


def deviation(phi: Float[Array, " P"], belief: Coefficients) -> Float[Array, ""]:
    """Standard deviation of the mean reward φ·θ."""
    return jnp.linalg.norm(phi @ belief.root)


def observe(
    belief: Coefficients, phi: Float[Array, " P"], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Coefficients:
    """The belief after a reward at φ that is worth `weight` observations; 0 changes nothing."""
    f = phi @ belief.root
    precision = weight / jnp.square(belief.reward_sd)
    gain = precision / (1 + precision * (f @ f))
    step = belief.root @ f
    mean = belief.mean + gain * (reward - phi @ belief.mean) * step
    # With s = 1 + precision · ‖f‖², R(I − c·ffᵀ) squares to R(I − gain·ffᵀ)Rᵀ for c = gain / (1 + 1/√s).
    shrink = gain / (1 + 1 / jnp.sqrt(1 + precision * (f @ f)))
    return Coefficients(mean, belief.root - shrink * jnp.outer(step, f), belief.reward_sd)
