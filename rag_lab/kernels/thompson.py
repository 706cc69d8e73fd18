"""Thompson sampling with independent Gaussian arms.

Rewards of an arm are taken as Normal(θ, σ²) with known σ; the conjugate prior is θ ~ Normal(m, σ²/n), worth n
pseudo-observations (Thompson 1933, Biometrika 25; Agrawal and Goyal 2017, J. ACM 64(5)). All functions treat
one bandit; callers `vmap` over domains and seeds.

Shapes: A arms.
"""

from __future__ import annotations

from typing import NamedTuple

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


def draw(normals: Float[Array, " A"], arms: Arms) -> Int[Array, ""]:
    """Sample each arm's mean from its posterior, given standard normal numbers; the arm with the largest sample."""
    return jnp.argmax(arms.mean + deviation(arms) * normals)


def observe(arms: Arms, arm: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]) -> Arms:
    """Conjugate update of one arm by a reward r worth w observations: n ← n + w, mean ← mean + w(r − mean)/n."""
    worth = jnp.where(jnp.arange(arms.mean.shape[0]) == arm, weight, 0)
    strength = arms.strength + worth
    return Arms(arms.mean + worth * (reward - arms.mean) / strength, strength, arms.reward_sd)


def forget(arms: Arms, prior: Arms, keep: Float[Array, ""]) -> Arms:
    """Let evidence fade towards the prior: of each observation the share `keep` is left (Raj and Kalyani 2017,
    arXiv:1707.09727)."""
    evidence = keep * (arms.strength - prior.strength)
    total = keep * (arms.strength * arms.mean - prior.strength * prior.mean)
    strength = prior.strength + evidence
    return Arms((prior.strength * prior.mean + total) / strength, strength, arms.reward_sd)


def pooled(count: Float[Array, "C A"], total: Float[Array, "C A"], prior: Arms, between: Float[Array, ""]) -> Arms:
    """Belief about every domain's arms when domains are alike: a normal hierarchical model, exactly.

    count, total: observations and their summed rewards in each of C domains. prior: mean [C, A] of every domain's
    arm; strength [A], how many observations the belief about the arms' shifts that all domains share is worth.
    between: standard deviation of a domain's own shift around the shared one. An arm of domain c is prior + shared
    + own, so evidence of one domain moves the others' (Gelman et al. 2013, Bayesian Data Analysis, ch. 5). In the
    result `strength` is σ² over the posterior variance.
    """
    variance, own = jnp.square(prior.reward_sd), jnp.square(between)
    excess = total - count * prior.mean
    # What each domain says of the shared shift: its mean excess, with variance σ²/n + own.
    precision = count / (variance + count * own)
    shared_precision = prior.strength / variance + precision.sum(axis=0)
    shared = (excess / (variance + count * own)).sum(axis=0) / shared_precision
    # Given the shared shift, the domain's arm is pulled from it by its own observations.
    pull = count * own / (variance + count * own)
    mean = prior.mean + shared * (1 - pull) + excess * own / (variance + count * own)
    spread = own * (1 - pull) + jnp.square(1 - pull) / shared_precision
    return Arms(mean, variance / spread, prior.reward_sd)
