"""What speaks for a claim in the evidence: shared content words, similarity, names and numbers, negation.

The parts of a check of factual support by words and embeddings, after the content-word precision of Knowledge F1
(Shuster et al. 2021, Findings of EMNLP), the sentence-pair maximum of SummaC (Laban et al. 2022, TACL 10) and the
named-entity precision of Nan et al. 2021 (EACL). No model reads both texts together, so a claim that turns the
meaning around with the same words is caught only by the crude signs of the last two parts.

Shapes: E sentences of the evidence, W words of a sentence (numbers, 0 pads), D dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Signs(NamedTuple):
    """Each in [0, 1] but `cosine`, in [-1, 1].

    cosine: to the most similar sentence. covered: share of the claim's words that stand anywhere in the evidence;
    together: in one of its sentences, the best. named: share of its names and numbers that stand anywhere, 1 where
    it has none. agrees: 1 where the claim is negated just as the sentence nearest to it (by cosine and words
    together) is, else 0.
    """

    cosine: Float[Array, ""]
    covered: Float[Array, ""]
    together: Float[Array, ""]
    named: Float[Array, ""]
    agrees: Float[Array, ""]


def present(wanted: Int[Array, " W"], given: Int[Array, "E W"]) -> Bool[Array, "E W"]:
    """Which of the wanted words stand in each given sentence; padding never does."""
    return (wanted[:, None] == given[:, None, :]).any(axis=-1) & (wanted > 0)


def covered(wanted: Int[Array, " W"], given: Int[Array, "E W"]) -> Float[Array, ""]:
    """Share of the wanted words that stand anywhere in the given sentences; NaN where nothing is wanted."""
    return present(wanted, given).any(axis=0).sum() / (wanted > 0).sum()


def signs(
    words: Int[Array, " W"],
    named: Bool[Array, " W"],
    negated: Bool[Array, ""],
    vector: Float[Array, " D"],
    their_words: Int[Array, "E W"],
    their_negated: Bool[Array, " E"],
    their_vectors: Float[Array, "E D"],
    real: Bool[Array, " E"],
) -> Signs:
    """The signs of one claim; all 0 where there is no evidence. real: which rows hold a sentence."""
    found = present(words, their_words) & real[:, None]
    anywhere, total = found.any(axis=0), jnp.maximum((words > 0).sum(), 1)
    shares = found.sum(axis=1) / total
    cosines = jnp.where(real, their_vectors @ vector, -1.0)
    nearest = jnp.argmax(shares + cosines)
    agrees = (their_negated[nearest] == negated).astype(float)
    names = named.sum()
    in_evidence = jnp.where(names > 0, (anywhere & named).sum() / jnp.maximum(names, 1), 1.0)
    some = real.any()
    return Signs(
        cosine=jnp.where(some, cosines.max(), 0.0),
        covered=anywhere.sum() / total,
        together=shares.max(),
        named=jnp.where(some, in_evidence, 0.0),
        agrees=jnp.where(some, agrees, 0.0),
    )
