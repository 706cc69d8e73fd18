"""Exponential forgetting: what an observation is still worth at some age.

exp(−λ·age) with λ = ln 2 / half-life (for user interests over time: Ding and Li 2005, CIKM). Units: seconds.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


def retention(age_s: Float[Array, ""], rate: float) -> Float[Array, ""]:
    """The share that is left after `age_s` seconds at `rate` λ per second; 1 at age 0. Ages are not negative."""
    return jnp.exp(-rate * age_s)
