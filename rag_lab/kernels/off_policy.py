"""Off-policy evaluation: what a policy would have earned, estimated from another's logged decisions.

Inverse propensity scoring (Horvitz and Thompson 1952, JASA 47), its self-normalised form (Swaminathan and Joachims
2015, NeurIPS) and the doubly robust estimator (Dudík, Langford and Li 2011, ICML). Kish's effective sample size (1965,
Survey Sampling) says how many decisions of the log still speak.

Shapes: N logged decisions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Estimates(NamedTuple):
    """Mean reward by each estimator; effective: sample size; largest: weight of a single decision, in decisions."""

    ips: Float[Array, ""]
    snips: Float[Array, ""]
    doubly_robust: Float[Array, ""]
    effective: Float[Array, ""]
    largest: Float[Array, ""]


def estimate(
    reward: Float[Array, " N"],
    logged: Float[Array, " N"],
    target: Float[Array, " N"],
    predicted: Float[Array, " N"],
    expected: Float[Array, " N"],
) -> Estimates:
    """Evaluate one policy on one log.

    logged, target: the probability with which either policy takes the action that was taken; logged must be positive.
    predicted: a model's reward of that action; expected: the model's mean reward of what the target would do. A log
    on which the target never acts alike has a SNIPS of 0 and an effective size of 0.
    """
    weight = target / logged
    total = weight.sum()
    return Estimates(
        ips=(weight * reward).mean(),
        snips=(weight * reward).sum() / jnp.where(total > 0, total, 1),
        doubly_robust=(expected + weight * (reward - predicted)).mean(),
        effective=jnp.square(total) / jnp.where(total > 0, jnp.square(weight).sum(), 1),
        largest=weight.max(),
    )
