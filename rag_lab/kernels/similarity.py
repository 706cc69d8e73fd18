"""Exact inner-product similarity of one query with every passage.

On unit vectors the inner product is the cosine. `HIGHEST` keeps float32 products float32 on devices whose
default matrix product rounds its inputs (TF32, bfloat16), so that scores agree over devices.

Shapes: N passages, D dimensions.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def similarity(query: Float[Array, " D"], passages: Float[Array, "N D"]) -> Float[Array, " N"]:
    """Inner product of one query with each passage."""
    return jnp.matmul(passages, query, precision=jax.lax.Precision.HIGHEST)
