"""Sentences chosen for a question: by relevance, against redundancy, within a budget of tokens.

Greedy maximal marginal relevance (Carbonell and Goldstein 1998, SIGIR) with a cost for every item, as in budgeted
summarisation (Lin and Bilmes 2010, NAACL-HLT): of the sentences that still fit, the one with the best balance of
relevance and novelty comes next.

Shapes: P sentences of the pool, M of them that compete, N most sentences of an answer, D dimensions, W words.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.support import Match

Number = Float[Array, ""] | float


class Taste(NamedTuple):
    """How sentences are chosen.

    lexical: the weight of words in relevance, the rest being cosine. balance: λ of balance · relevance − (1 −
    balance) · similarity to the nearest chosen one. floor: the least relevance of a sentence, as a share of the
    best one's. budget: most tokens of all chosen ones together.
    """

    lexical: Number
    balance: Number
    floor: Number
    budget: Int[Array, ""] | int


def relevance(matched: Match, wanted: Int[Array, ""], lexical: Number) -> Float[Array, " P"]:
    """(1 − lexical) · cosine + lexical · share of the question's `wanted` words, of each sentence."""
    shares = matched.found.sum(axis=1) / jnp.maximum(wanted, 1)
    return (1 - lexical) * matched.cosine + lexical * shares


class _Left(NamedTuple):
    """What is left to choose from: eligible sentences, their similarity to the nearest chosen one, and tokens."""

    eligible: Bool[Array, " M"]
    nearest: Float[Array, " M"]
    tokens: Int[Array, ""]


def choose(
    relevance: Float[Array, " P"],
    shown: Bool[Array, " P"],
    vectors: Float[Array, "P D"],
    tokens: Int[Array, " P"],
    taste: Taste,
    competing: int,
    most: int,
) -> Int[Array, " N"]:
    """Places of at most `most` of the shown sentences, in the order of their choice, -1 past the last.

    Only the `competing` most relevant ones take part. Ties to the earlier place. competing, most: static.
    """
    ranked = jnp.where(shown, relevance, -jnp.inf)
    value, place = jax.lax.top_k(ranked, min(competing, ranked.shape[0]))
    vectors, tokens = vectors[place], tokens[place]

    def step(left: _Left, _: None) -> tuple[_Left, Int[Array, ""]]:
        fits = left.eligible & (tokens <= left.tokens)
        gain = jnp.where(fits, taste.balance * value - (1 - taste.balance) * left.nearest, -jnp.inf)
        best, some = jnp.argmax(gain), fits.any()
        after = _Left(
            left.eligible.at[best].set(False),
            jnp.maximum(left.nearest, vectors @ vectors[best]),
            left.tokens - tokens[best],
        )
        left = jax.tree.map(lambda new, old: jnp.where(some, new, old), after, left)
        return left, jnp.where(some, place[best], -1)

    eligible = jnp.isfinite(value) & (value >= taste.floor * value[0])
    start = _Left(eligible, jnp.zeros_like(value), jnp.asarray(taste.budget))
    return jax.lax.scan(step, start, None, length=most)[1]
