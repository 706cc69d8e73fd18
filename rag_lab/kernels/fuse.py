"""Score fusion over a candidate pool: min-max normalisation and convex combination.

Convex combination after min-max normalisation is the fusion that Bruch, Gai and Ingber (2023, "An Analysis of
Fusion Functions for Hybrid Retrieval", ACM TOIS 42(1)) find robust and sample-efficient.

Shapes: P places of the pool.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def min_max(scores: Float[Array, " P"], real: Bool[Array, " P"]) -> Float[Array, " P"]:
    """Map the real scores onto [0, 1]; a constant list, or one without real scores, becomes 0."""
    low = jnp.where(real, scores, jnp.inf).min()
    high = jnp.where(real, scores, -jnp.inf).max()
    spread = high - low
    scaled = (scores - low) / jnp.where(spread > 0, spread, 1)
    # XLA multiplies by 1/spread, which rounds: the best must be 1 itself, or the ties of α = 0.5 are none.
    return jnp.where(real & (spread > 0), jnp.where(scores == high, 1, scaled), 0)


def convex(
    lexical: Float[Array, " P"], dense: Float[Array, " P"], real: Bool[Array, " P"], alpha: Float[Array, ""]
) -> Float[Array, " P"]:
    """α·lexical + (1 − α)·dense of min-max normalised scores; −inf where the place is padding."""
    fused = alpha * min_max(lexical, real) + (1 - alpha) * min_max(dense, real)
    return jnp.where(real, fused, -jnp.inf)
