"""Sentences chosen for a question: by relevance, against redundancy, within a budget of tokens.

Greedy maximal marginal relevance (Carbonell and Goldstein 1998, SIGIR) with a cost for every item, as in budgeted
summarisation (Lin and Bilmes 2010, NAACL-HLT): of the sentences that still fit, the one with the best balance of
relevance and novelty comes next.

Shapes: P sentences of the pool, M of them that compete, N most sentences of an answer, W words, D dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels.support import present


class Chosen(NamedTuple):
    """Places of the chosen sentences, best first, -1 past the last, and what their choice was worth."""

    place: Int[Array, " N"]
    gain: Float[Array, " N"]


def relevance(
    question: Float[Array, " D"],
    wanted: Int[Array, " W"],
    vectors: Float[Array, "P D"],
    words: Int[Array, "P W"],
    lexical: Float[Array, ""] | float,
) -> Float[Array, " P"]:
    """Of each sentence: (1 − lexical) · cosine + lexical · share of the question's words that it holds."""
    shares = present(wanted, words).sum(axis=1) / jnp.maximum((wanted > 0).sum(), 1)
    return (1 - lexical) * (vectors @ question) + lexical * shares


def choose(
    relevance: Float[Array, " M"],
    vectors: Float[Array, "M D"],
    tokens: Int[Array, " M"],
    real: Bool[Array, " M"],
    most: int,
    balance: Float[Array, ""] | float,
    budget: Int[Array, ""] | int,
    floor: Float[Array, ""] | float,
) -> Chosen:
    """At most `most` sentences (static) of together at most `budget` tokens.

    balance: λ of balance · relevance − (1 − balance) · similarity to the nearest chosen one. floor: the least
    relevance of a sentence, as a share of the best real one's. The first choice is the most relevant that fits.
    """
    best = jnp.where(real, relevance, -jnp.inf).max()
    eligible = real & (relevance >= floor * best)

    def step(
        state: tuple[Bool[Array, " M"], Float[Array, " M"], Int[Array, ""]], _: None
    ) -> tuple[tuple[Bool[Array, " M"], Float[Array, " M"], Int[Array, ""]], Chosen]:
        open_, nearest, left = state
        fits = open_ & (tokens <= left)
        gain = jnp.where(fits, balance * relevance - (1 - balance) * nearest, -jnp.inf)
        place = jnp.argmax(gain)
        found = fits.any()
        near = jnp.maximum(nearest, vectors @ vectors[place])
        after = (open_.at[place].set(False), near, left - tokens[place])
        kept = jax.tree.map(lambda new, old: jnp.where(found, new, old), after, state)
        return kept, Chosen(jnp.where(found, place, -1), jnp.where(found, gain[place], 0.0))

    start = (eligible, jnp.zeros_like(relevance), jnp.asarray(budget))
    return jax.lax.scan(step, start, None, length=most)[1]
