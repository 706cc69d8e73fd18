"""What live answers cost under the price table: only what was computed is paid for, what was remembered is free.

An answer is priced as the small generator's, on the tokens of a prompt that holds the question and the passages
shown, and on the tokens of the answer (protocol, "Prices").

Shapes: N answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.economy.prices import MILLION, Prices, searches
from rag_lab.encoder.wordpiece import count_tokens
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.live import ACTIONS
from rag_lab.pipeline import Reply

GENERATOR = "small"


class Usage(NamedTuple):
    """What each answer used, before any price: lexical and vector searches; tokens embedded, read and written by the
    generator; paid calls of all kinds."""

    lexical: Float[np.ndarray, " N"]
    vector: Float[np.ndarray, " N"]
    embedded: Float[np.ndarray, " N"]
    tokens_in: Float[np.ndarray, " N"]
    tokens_out: Float[np.ndarray, " N"]
    calls: Float[np.ndarray, " N"]

    def retrieval_usd(self, prices: Prices) -> Float[np.ndarray, " N"]:
        """The cost of embedding and searching."""
        searched = self.lexical * prices.lexical_search + self.vector * prices.vector_search
        return (searched + self.embedded * prices.embedding) / MILLION

    def usd(self, prices: Prices) -> Float[np.ndarray, " N"]:
        """The cost of everything."""
        tier = prices.generators[GENERATOR]
        return (
            self.retrieval_usd(prices) + (self.tokens_in * tier.tokens_in + self.tokens_out * tier.tokens_out) / MILLION
        )


def usage(lab: Lab, replies: Sequence[Reply]) -> Usage:
    """What these answers used; what an action asks for says `economy.prices.searches`."""
    passages = {one.id: one.indexed_text for each in lab.dataset.collections for one in each.passages}
    shown = {passage for reply in replies for passage in reply.passages}
    texts = list(
        dict.fromkeys(
            [*(reply.query.text for reply in replies), *(reply.answer.text for reply in replies)]
            + [passages[passage] for passage in sorted(shown)]
        )
    )
    tokens = dict(zip(texts, count_tokens(texts, lab.progress).tolist(), strict=True))
    size = {passage: tokens[passages[passage]] for passage in shown}
    asked = searches(lab.action_set(ACTIONS))
    actions = [reply.action for reply in replies]
    embedding, searched, written = np.array([reply.computed for reply in replies], float).T
    question = np.array([tokens[reply.query.text] for reply in replies])
    prompt = question + np.array([sum(map(size.__getitem__, reply.passages)) for reply in replies])
    lexical, vector = searched * asked.lexical[actions], searched * asked.vector[actions]
    embedded = embedding * asked.embedded[actions]
    return Usage(
        lexical=lexical,
        vector=vector,
        embedded=embedded * question,
        tokens_in=written * prompt,
        tokens_out=written * np.array([tokens[reply.answer.text] for reply in replies]),
        calls=lexical + vector + embedded + written,
    )
