"""The candidate pool of one query: lexical top-k united with dense top-k, every member with both scores.

Fixed shape: a pool has 2·k places in corpus order, of which `real` ones are in use (a passage found by both
rankers fills one place). Ties go to the passage that comes first in the corpus, which `lax.top_k` guarantees.

Shapes: N passages of the corpus, P = 2·min(k, N) places.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Pool(NamedTuple):
    """Candidates in corpus order; entries whose `real` is False are padding."""

    passage: Int[Array, " P"]
    lexical: Float[Array, " P"]
    dense: Float[Array, " P"]
    real: Bool[Array, " P"]


def pool(lexical: Float[Array, " N"], dense: Float[Array, " N"], k: int) -> Pool:
    """Unite the k best passages by either score. `k` is static; k > N takes all N."""
    k = min(k, lexical.shape[0])
    passage = jnp.sort(jnp.concatenate([jax.lax.top_k(lexical, k)[1], jax.lax.top_k(dense, k)[1]]))
    first = jnp.concatenate([jnp.ones(1, bool), passage[1:] != passage[:-1]])
    return Pool(passage, lexical[passage], dense[passage], first)
