"""What speaks for a claim in the evidence: shared content words, similarity, names and numbers, negation.

The parts of a check of factual support by words and embeddings, after the content-word precision of Knowledge F1
(Shuster et al. 2021, Findings of EMNLP), the sentence-pair maximum of SummaC (Laban et al. 2022, TACL 10) and the
named-entity precision of Nan et al. 2021 (EACL). No model reads both texts together, so a claim that turns the
meaning around with the same words is caught only by the crude signs of the last two parts.

Shapes: E sentences of the evidence, W words of a sentence (numbers, 0 pads), D dimensions.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Sentence(NamedTuple):
    """One sentence: its unit vector, its distinct content words, which of them are names or numbers, and whether
    it is negated. With a leading axis: the sentences of the evidence.
    """

    vector: Float[Array, "*E D"]
    stems: Int[Array, "*E W"]
    named: Bool[Array, "*E W"]
    negated: Bool[Array, "*E"]


class Match(NamedTuple):
    """A claim beside every sentence. cosine: of the vectors; found: which of its words stand there; agrees:
    whether both are negated or neither is.
    """

    cosine: Float[Array, " E"]
    found: Bool[Array, "E W"]
    agrees: Bool[Array, " E"]


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


class Head(NamedTuple):
    """A logistic judgment of signs: a weight for each, a bias, and the probability from which it says yes."""

    cosine: float
    covered: float
    together: float
    named: float
    agrees: float
    bias: float
    threshold: float


def present(wanted: Int[Array, " W"], given: Int[Array, "E W"]) -> Bool[Array, "E W"]:
    """Which of the wanted words stand in each given sentence; padding never does."""
    return (wanted[:, None] == given[:, None, :]).any(axis=-1) & (wanted > 0)


def match(claim: Sentence, evidence: Sentence) -> Match:
    """The claim beside every sentence of the evidence."""
    return Match(
        evidence.vector @ claim.vector,
        present(claim.stems, evidence.stems),
        evidence.negated == claim.negated,
    )


def signs(claim: Sentence, matched: Match, shown: Bool[Array, " E"]) -> Signs:
    """The signs of the claim in those of the matched sentences that are shown; all 0 where none is."""
    found = matched.found & shown[:, None]
    anywhere, names = found.any(axis=0), claim.named.sum()
    shares = found.sum(axis=1) / jnp.maximum((claim.stems > 0).sum(), 1)
    cosine = jnp.where(shown, matched.cosine, -1.0)
    all_of = Signs(
        cosine=cosine.max(),
        covered=anywhere.sum() / jnp.maximum((claim.stems > 0).sum(), 1),
        together=shares.max(),
        named=jnp.where(names > 0, (anywhere & claim.named).sum() / jnp.maximum(names, 1), 1.0),
        agrees=matched.agrees[jnp.argmax(shares + cosine)].astype(cosine.dtype),
    )
    return jax.tree.map(lambda sign: jnp.where(shown.any(), sign, 0.0), all_of)


def probability(head: Head, found: Signs) -> Float[Array, ""]:
    """How likely signs like these mean yes."""
    return jax.nn.sigmoid(sum(getattr(head, name) * sign for name, sign in found._asdict().items()) + head.bias)
