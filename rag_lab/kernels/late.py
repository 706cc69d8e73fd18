"""Late interaction: a query's tokens each look for their best match among a passage's tokens.

ColBERT's MaxSim (Khattab and Zaharia 2020, SIGIR) is the sum of these cosines over a query's tokens; callers here
take the mean, so that it is a cosine whatever the query's length.

Shapes: S tokens of queries, T of the passage, D dimensions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def unit(states: Float[Array, "T D"]) -> Float[Array, "T D"]:
    """Every token's vector at length 1; a zero vector stays zero."""
    return states / jnp.maximum(jnp.linalg.norm(states, axis=-1, keepdims=True), 1e-12)


def nearest(query: Float[Array, "S D"], passage: Float[Array, "T D"], real: Bool[Array, " T"]) -> Float[Array, " S"]:
    """Of every token of the query, the largest cosine to a real token of the passage.

    Vectors have length 1. real: False where padding. 0 where no token of the passage is real.
    """
    cosines = jnp.matmul(query, passage.T, precision=jax.lax.Precision.HIGHEST)
    return jnp.where(real.any(), jnp.where(real, cosines, -jnp.inf).max(axis=-1), 0)
