"""Whether evidence supports a claim: the signs of `kernels.support`, judged by a calibrated head.

A claim is one sentence of an answer. One that is too short to stand alone is read with its question ("Where is it
made? France"), as a hypothesis is in question-answering entailment (Demszky et al. 2018, arXiv:1809.02922).

Shapes: N claims, E sentences of the evidence, G signs.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Shelf, padded
from rag_lab.kernels import support
from rag_lab.kernels.support import Head, Signs

ALONE = 5  # content words from which a sentence is a claim of its own
LEAST_EVIDENCE = 16  # smallest padded number of sentences
BLOCK = 1 << 14  # claims × sentences of one call: each takes 64 × 64 comparisons of words

Rows = Int[np.ndarray, " E"]


def claim(question: str, sentence: str) -> str:
    """What a sentence of an answer asserts: itself, or itself after the question."""
    return sentence if len(sentences.content(sentence)) >= ALONE else f"{question} {sentence}"


@jax.jit
@jax.vmap
def _signs(claim: support.Sentence, evidence: support.Sentence, shown: Bool[Array, " E"]) -> Signs:
    return support.signs(claim, support.match(claim, evidence), shown)


def signs(shelf: Shelf, claims: Sequence[str], evidence: Sequence[Rows]) -> Float[np.ndarray, "N G"]:
    """The signs of each claim in its own evidence, given as rows of the shelf; all 0 without evidence."""
    rows, found = shelf.rows(claims), np.zeros((len(claims), len(Signs._fields)))
    sizes: dict[int, list[int]] = {}
    for number, one in enumerate(evidence):
        if len(one):
            sizes.setdefault(padded(len(one), LEAST_EVIDENCE), []).append(number)
    for size, alike in sizes.items():
        room = max(1, BLOCK // size)
        for start in range(0, len(alike), room):
            block = alike[start : start + room]
            # The last rows pad the block up to a compiled size; they repeat its first claim, and are not read.
            filled = np.resize(block, padded(len(block), 1))
            held, shown = np.zeros((len(filled), size), np.int64), np.zeros((len(filled), size), bool)
            for place, number in enumerate(block):
                held[place, : len(evidence[number])], shown[place, : len(evidence[number])] = (
                    evidence[number],
                    True,
                )
            parts = _signs(shelf.take(rows[filled]), shelf.take(held), shown)
            found[block] = np.stack([np.asarray(part)[: len(block)] for part in parts], axis=1)
    return found


def probabilities(head: Head, found: Float[np.ndarray, "N G"]) -> Float[np.ndarray, " N"]:
    """How likely signs mean support; `kernels.support.probability` of each row."""
    weights = np.array([getattr(head, name) for name in Signs._fields])
    return 1 / (1 + np.exp(-(found @ weights + head.bias)))
