"""The k best of many scores, exactly, in two stages.

Scores are cut into groups of neighbours. With groups in order of (maximum, place), a score outside the first k
groups has k scores before it, so only those k groups can hold winners: the slow selection sees N / group and
then k · group numbers instead of N. Ties go to the lower place, hence the chosen groups are put back in order
before the second stage. The result is that of `np.argsort(-scores, kind="stable")[:k]`; -0.0 and 0.0 are equal,
which `lax.top_k` alone would not grant (a device may take subnormal numbers for 0). Scores must not be NaN.

Shapes: N scores, K = min(k, N) winners, best first.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

ONE_STAGE = 128  # with fewer scores than this for each winner, one stage is as quick as two


class Best(NamedTuple):
    """Winners, best first: where they stand and what they scored."""

    place: Int[Array, " K"]
    score: Float[Array, " K"]


def group_size(n: int, k: int) -> int:
    """Scores to a group: a power of two near √(n / k), which makes both stages equally long; 1 is one stage."""
    return 1 if n < ONE_STAGE * k else 1 << round(math.log2(n / k) / 2)


def top_k(scores: Float[Array, " N"], k: int) -> Best:
    """The `k` best scores; `k` is static, and k > N takes all N."""
    n = scores.shape[0]
    k = min(k, n)
    group = group_size(n, k)
    if group == 1:
        best, place = jax.lax.top_k(_one_zero(scores), k)
        return Best(place, best)
    whole = n - n % group
    groups = scores[:whole].reshape(-1, group)
    chosen = jnp.sort(jax.lax.top_k(_one_zero(groups.max(axis=1)), k)[1])
    inside = chosen[:, None] * group + jnp.arange(group)
    candidates = jnp.concatenate([groups[chosen].ravel(), scores[whole:]])
    places = jnp.concatenate([inside.ravel(), jnp.arange(whole, n)])
    best, at = jax.lax.top_k(_one_zero(candidates), k)
    return Best(places[at], best)


def _one_zero(scores: Float[Array, " M"]) -> Float[Array, " M"]:
    """-0.0 as 0.0: `lax.top_k` orders by bits, in which they differ."""
    return jnp.where(scores == 0, 0.0, scores)
