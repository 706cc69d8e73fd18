"""Score fusion over a candidate pool: convex combination of normalised scores, or of reciprocal ranks.

Convex combination after min-max normalisation is the fusion that Bruch, Gai and Ingber (2023, "An Analysis of
Fusion Functions for Hybrid Retrieval", ACM TOIS 42(1)) find robust and sample-efficient. Reciprocal rank fusion is
of Cormack, Clarke and Büttcher (2009, SIGIR).

Shapes: P places of the pool.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


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


def reciprocal_rank(
    lexical_rank: Int[Array, " P"],
    dense_rank: Int[Array, " P"],
    real: Bool[Array, " P"],
    alpha: Float[Array, ""],
    k: Float[Array, ""],
) -> Float[Array, " P"]:
    """α/(k + lexical rank) + (1 − α)/(k + dense rank), min-max normalised; −inf where the place is padding.

    Ranks start at 1. k dampens the first ranks' lead; Cormack et al. use 60.
    """
    fused = alpha / (k + lexical_rank) + (1 - alpha) / (k + dense_rank)
    return jnp.where(real, min_max(fused, real), -jnp.inf)


def mix(
    fused: Float[Array, " P"], late: Float[Array, " P"], real: Bool[Array, " P"], weight: Float[Array, ""]
) -> Float[Array, " P"]:
    """(1 − weight)·fused + weight·late, the latter min-max normalised; −inf where the place is padding.

    At weight 0 `fused` is returned as it is, whatever `late` holds: it may be missing (NaN).
    """
    mixed = (1 - weight) * fused + weight * min_max(late, real)
    return jnp.where(real, jnp.where(weight > 0, mixed, fused), -jnp.inf)
