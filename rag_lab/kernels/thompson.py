"""Thompson sampling with independent Gaussian arms.

Rewards of an arm are taken as Normal(θ, σ²) with known σ; the conjugate prior is θ ~ Normal(m, σ²/n), worth n
pseudo-observations (Thompson 1933, Biometrika 25; Agrawal and Goyal 2017, J. ACM 64(5)). All functions treat
one bandit; callers `vmap` over domains and seeds.

Shapes: A arms.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Arms(NamedTuple):
    """Belief about each arm: posterior mean of its reward, how many observations it is worth, and the σ of one."""

    mean: Float[Array, " A"]
    strength: Float[Array, " A"]
    reward_sd: Float[Array, ""]


def deviation(arms: Arms) -> Float[Array, " A"]:
    """Posterior standard deviation of each arm's mean reward: σ/√n."""
    return arms.reward_sd / jnp.sqrt(arms.strength)


def draw(key: Array, arms: Arms) -> Int[Array, ""]:
    """Sample each arm's mean from its posterior and take the arm with the largest sample."""
    normals = jax.random.normal(key, arms.mean.shape)
    return jnp.argmax(arms.mean + deviation(arms) * normals)


def observe(arms: Arms, arm: Int[Array, ""], reward: Float[Array, ""]) -> Arms:
    """Conjugate update of one arm: n ← n + 1, mean ← mean + (reward − mean)/n."""
    chosen = jnp.arange(arms.mean.shape[0]) == arm
    strength = arms.strength + chosen
    return Arms(arms.mean + jnp.where(chosen, (reward - arms.mean) / strength, 0), strength, arms.reward_sd)
