"""Nearest-centroid classification on the unit sphere (Rocchio's classifier; Manning et al. 2008, ch. 14.2).

Shapes: N training vectors, C classes, D dimensions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def centroids(vectors: Float[Array, "N D"], classes: Int[Array, " N"], count: int) -> Float[Array, "C D"]:
    """Mean direction of each class, unit length; a class without a vector becomes 0. `count` is static."""
    sums = jax.ops.segment_sum(vectors, classes, num_segments=count)
    return sums / jnp.maximum(jnp.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def nearest(vector: Float[Array, " D"], centres: Float[Array, "C D"]) -> Int[Array, ""]:
    """The class whose centroid has the largest cosine with the vector; ties to the first."""
    return jnp.argmax(jnp.matmul(centres, vector, precision=jax.lax.Precision.HIGHEST))
