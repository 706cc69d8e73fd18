"""Paired resampling by cluster: bootstrap and sign-flip permutation.

Queries that share relevant passages are not independent, so whole clusters are drawn (Davison and Hinkley
1997, section 2.4; Smucker, Allan and Carterette 2007, CIKM, for randomisation tests in retrieval). One set of
cluster draws serves every variant, which is what makes the comparison paired. A cluster enters by its sum and
its size: the statistic is a mean over queries.

Shapes: R resamples, C clusters, S seeds.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def counts(key: Array, things: int, resamples: int) -> Float[Array, "R things"]:
    """How often each of `things` is drawn when drawing `things` with replacement, `resamples` times."""

    def one(key: Array) -> Float[Array, " things"]:
        drawn = jax.random.randint(key, (things,), 0, things)
        return jnp.zeros(things).at[drawn].add(1.0)

    return jax.lax.map(one, jax.random.split(key, resamples), batch_size=250)


def bootstrap_means(
    drawn: Float[Array, "R C"], sums: Float[Array, "C S"], sizes: Int[Array, " C"]
) -> Float[Array, "R S"]:
    """Mean over the queries of the drawn clusters, for each column of cluster sums."""
    return (drawn @ sums) / (drawn @ sizes.astype(sums.dtype))[:, None]


def over_seeds(drawn: Float[Array, "R S"], means: Float[Array, "R S"]) -> Float[Array, " R"]:
    """Mean of each resample's own draw of seeds."""
    return (drawn * means).sum(axis=1) / drawn.sum(axis=1)


def sign_flip(key: Array, sums: Float[Array, " C"], resamples: int) -> Float[Array, ""]:
    """Two-sided p-value of 'differences are symmetric about 0', flipping the sign of whole clusters.

    sums: each cluster's summed difference (weighted as the statistic weights it). The observed labelling
    counts as one of the permutations (Phipson and Smyth 2010), so p is at least 1/(resamples + 1). The slack
    of one part in 10⁵ keeps rounding from making equal statistics unequal.
    """
    observed = jnp.abs(sums.sum())

    def one(key: Array) -> Float[Array, ""]:
        return jnp.abs(jnp.where(jax.random.bernoulli(key, shape=sums.shape), sums, -sums).sum())

    flipped = jax.lax.map(one, jax.random.split(key, resamples), batch_size=250)
    slack = 1e-5 * jnp.abs(sums).sum()
    return (1 + (flipped >= observed - slack).sum()) / (resamples + 1)
