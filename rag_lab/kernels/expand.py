"""Pseudo-relevance feedback in embedding space: a second query made of the first round's best passages.

Rocchio (1971, in Salton's "The SMART Retrieval System"), without negative evidence. Its counterpart for words is
ragged, hence no kernel: `l1_retrieval.rm3`.

Shapes: E passages of evidence, D dimensions.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def rocchio(
    query: Float[Array, " D"], evidence: Float[Array, "E D"], real: Bool[Array, " E"], weight: Float[Array, ""]
) -> Float[Array, " D"]:
    """unit(query + weight · mean of the real evidence vectors); the query itself where there is no evidence."""
    mean = jnp.where(real[:, None], evidence, 0).sum(axis=0) / jnp.maximum(real.sum(), 1)
    moved = query + weight * mean
    length = jnp.linalg.norm(moved)
    return jnp.where(length > 0, moved / jnp.where(length > 0, length, 1), query)
