"""Lists that do not say the same thing twice: choosing them, and how diverse they are.

Maximal marginal relevance (Carbonell and Goldstein 1998, SIGIR) takes, one after another, the passage with the
largest λ · relevance − (1 − λ) · (likeness to the nearest passage taken). Intra-list diversity is the mean
dissimilarity of two different passages of the list (Smyth and McClave 2001, ICCBR). α-nDCG (Clarke et al. 2008,
SIGIR) counts a passage less for a topic the more often the list has covered that topic before.

Shapes: P candidates, K places of a list, T topics.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NOBODY = -1  # a place that no candidate is left for


def mmr(
    relevance: Float[Array, " P"],
    likeness: Float[Array, "P P"],
    real: Bool[Array, " P"],
    balance: Float[Array, ""],
    k: int,
) -> Int[Array, " K"]:
    """Places of the `k` chosen candidates, in order; −1 where none is left. `k` is static.

    relevance and likeness should share a scale. balance: λ; 1 is relevance alone. Ties go to the lower place.
    """

    def take(
        state: tuple[Bool[Array, " P"], Float[Array, " P"]], _: None
    ) -> tuple[tuple[Bool[Array, " P"], Float[Array, " P"]], Int[Array, ""]]:
        left, nearest = state
        marginal = balance * relevance - (1 - balance) * nearest
        best = jnp.argmax(jnp.where(left, marginal, -jnp.inf))
        chosen = jnp.where(left.any(), best, NOBODY)
        first = left.sum() == real.sum()  # of nothing taken, nothing can be near
        nearest = jnp.where(first, likeness[best], jnp.maximum(nearest, likeness[best]))
        return (left.at[best].set(False), nearest), chosen

    return jax.lax.scan(take, (real, jnp.zeros_like(relevance)), None, length=k)[1]


def intra_list(likeness: Float[Array, "K K"], real: Bool[Array, " K"]) -> Float[Array, ""]:
    """Mean dissimilarity, 1 − likeness, over pairs of different real places; 0 where there is no pair."""
    pairs = real[:, None] & real[None, :] & ~jnp.eye(likeness.shape[0], dtype=bool)
    total = jnp.where(pairs, 1 - likeness, 0).sum()
    return total / jnp.maximum(pairs.sum(), 1)


def alpha_dcg(topics: Bool[Array, "K T"], alpha: Float[Array, ""]) -> Float[Array, ""]:
    """Discounted gain of a list, of which each place covers some topics; α: what a repetition loses."""
    before = jnp.cumsum(topics, axis=0) - topics
    gain = jnp.where(topics, (1 - alpha) ** before, 0).sum(axis=1)
    return (gain / jnp.log2(jnp.arange(topics.shape[0]) + 2.0)).sum()


def alpha_ndcg(ranked: Bool[Array, "K T"], judged: Bool[Array, "P T"], alpha: Float[Array, ""]) -> Float[Array, ""]:
    """α-DCG of the list as a share of the ideal list's; NaN where no candidate covers any topic.

    judged: the topics of every passage there is. The ideal list takes the largest gain at every place, ties to
    the lower place: the exact ideal is NP-hard, and this is what Clarke et al. and the field's tools do.
    """

    def take(
        state: tuple[Bool[Array, " P"], Int[Array, " T"]], _: None
    ) -> tuple[tuple[Bool[Array, " P"], Int[Array, " T"]], Bool[Array, " T"]]:
        left, covered = state
        gain = jnp.where(judged, (1 - alpha) ** covered, 0).sum(axis=1)
        best = jnp.argmax(jnp.where(left, gain, -jnp.inf))
        taken = judged[best] & left[best]
        return (left.at[best].set(False), covered + taken), taken

    start = (jnp.ones(judged.shape[0], bool), jnp.zeros(judged.shape[1], jnp.int32))
    best = alpha_dcg(jax.lax.scan(take, start, None, length=ranked.shape[0])[1], alpha)
    return jnp.where(best > 0, alpha_dcg(ranked, alpha) / jnp.where(best > 0, best, 1), jnp.nan)
