"""How the three layers stand around the stages: embeddings around the encoder, evidence around the search,
explanations around the generator.

A value's key holds what decides it and no more: an embedding the text and the encoder; evidence also the index, the
retriever, how many passages are shown and, for each request, α; an answer the generator, the passages that it was
given and their index. So a query whose α has changed keeps its embedding, and one whose evidence has not changed
keeps its answer.

Shapes: Q questions, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from rag_lab.cache.forms import Evidence, answer_shape
from rag_lab.cache.layering import Cache, Nothing
from rag_lab.types import Answer

Value = TypeVar("Value")
Compute = Callable[[list[int]], Sequence[Value]]  # for the positions asked


class Names(NamedTuple):
    """What decides values. encoder: its identity; indexes: by domain, the fingerprint of its collection; retriever,
    generator: their configurations."""

    encoder: str
    indexes: Mapping[str, str]
    retriever: Mapping[str, Any]
    generator: Mapping[str, Any]


class Recall:
    """A cache as the pipeline uses it. Every method also tells which values were computed for this call."""

    def __init__(self, cache: Cache | Nothing, names: Names, shown: int) -> None:
        self.cache = cache
        self._embeddings = cache.scope("embeddings", index="", encoder=names.encoder, config={})
        self._evidence = {
            domain: cache.scope(
                "evidence", index=index, encoder=names.encoder, config={**names.retriever, "shown": shown}
            )
            for domain, index in names.indexes.items()
        }
        written = {"generator": names.generator, "shape": answer_shape()}
        self._explanations = {
            domain: cache.scope("explanations", index=index, encoder="", config=written)
            for domain, index in names.indexes.items()
        }

    def embed(
        self, texts: Sequence[str], compute: Compute[Float[np.ndarray, " D"]]
    ) -> tuple[Float[np.ndarray, "Q D"], Bool[np.ndarray, " Q"]]:
        """The vectors of the questions."""
        noted, computed = _noted(compute, len(texts))
        return np.asarray(self.cache.embeddings.ask(self._embeddings, texts, noted)), computed

    def search(
        self, domain: str, texts: Sequence[str], alphas: Float[np.ndarray, " Q"], compute: Compute[Evidence]
    ) -> tuple[Sequence[Evidence], Bool[np.ndarray, " Q"]]:
        """The evidence for each question of one collection, at its own α."""
        noted, computed = _noted(compute, len(texts))
        details = [np.float64(alpha).tobytes() for alpha in alphas]
        return self.cache.evidence.ask(self._evidence[domain], texts, noted, details), computed

    def answer(
        self, domain: str, texts: Sequence[str], evidence: Sequence[Evidence], compute: Compute[Answer]
    ) -> tuple[Sequence[Answer], Bool[np.ndarray, " Q"]]:
        """The answer to each question of one collection from its evidence."""
        noted, computed = _noted(compute, len(texts))
        details = [one.passage.astype("<i4").tobytes() for one in evidence]
        return self.cache.explanations.ask(self._explanations[domain], texts, noted, details), computed


def _noted(compute: Compute[Value], count: int) -> tuple[Compute[Value], Bool[np.ndarray, " Q"]]:
    """The same, noting what was computed."""
    computed = np.zeros(count, bool)

    def noted(missing: list[int]) -> Sequence[Value]:
        computed[missing] = True
        return compute(missing)

    return noted, computed
