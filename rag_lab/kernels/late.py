"""Late interaction: a query's tokens each look for their best match among a passage's tokens.

ColBERT's MaxSim (Khattab and Zaharia 2020, SIGIR), as a mean over the query's tokens instead of a sum, so that it
is a cosine whatever the query's length.

Shapes: S tokens of the query, T of the passage, D dimensions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def unit(states: Float[Array, "T D"]) -> Float[Array, "T D"]:
    """Every token's vector at length 1; a zero vector stays zero."""
    return states / jnp.maximum(jnp.linalg.norm(states, axis=-1, keepdims=True), 1e-12)


def maxsim(
    query: Float[Array, "S D"], asked: Bool[Array, " S"], passage: Float[Array, "T D"], real: Bool[Array, " T"]
) -> Float[Array, ""]:
    """The mean, over the query's real tokens, of the largest cosine to a real token of the passage.

    Vectors have length 1. asked, real: False where padding. 0 where either side has no real token.
    """
    cosines = jnp.matmul(query, passage.T, precision=jax.lax.Precision.HIGHEST)
    best = jnp.where(real, cosines, -jnp.inf).max(axis=-1)
    mean = jnp.where(asked, best, 0).sum() / jnp.maximum(asked.sum(), 1)
    return jnp.where(real.any(), mean, 0)
