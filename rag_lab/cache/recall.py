"""How the three layers stand around the stages: embeddings around the encoder, evidence around the search,
explanations around the generator.

A value's key holds what decides it and no more: an embedding the text and the encoder; evidence also the index, the
retriever, how many passages are shown and, for each request, α; an answer the generator, the passages that it was
given and their index. So a query whose α has changed keeps its embedding, and one whose evidence has not changed
keeps its answer. Where a semantic layer is calibrated, a question that nobody remembers borrows the evidence of a near
one, and then that one's answer from it.

Shapes: Q questions, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from rag_lab.cache.forms import Evidence, answer_shape
from rag_lab.cache.keys import Scope
from rag_lab.cache.layering import Cache, Nothing
from rag_lab.cache.layers import Layer, Remembers
from rag_lab.cache.neighbours import Neighbours, Terms
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
    """A cache as the pipeline uses it. Every method also tells which values were computed for this call. terms: of the
    semantic layer; None: it is off."""

    def __init__(self, cache: Cache | Nothing, names: Names, shown: int, terms: Terms | None = None) -> None:
        self.cache, self._terms = cache, terms
        self._neighbours = {domain: Neighbours(terms) for domain in names.indexes} if terms else {}
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
        self,
        domain: str,
        texts: Sequence[str],
        vectors: Float[np.ndarray, "Q D"],
        alphas: Float[np.ndarray, " Q"],
        compute: Compute[Evidence],
    ) -> tuple[Sequence[Evidence], Bool[np.ndarray, " Q"]]:
        """The evidence for each question of one collection, at its own α."""
        details = [np.float64(alpha).tobytes() for alpha in alphas]
        found, computed, lent = self._ask(
            self.cache.evidence, self._evidence[domain], domain, texts, vectors, details, compute
        )
        if domain in self._neighbours:
            own = [place for place in range(len(texts)) if place not in lent]
            self._neighbours[domain].add([texts[place] for place in own], vectors[own])
        return found, computed

    def answer(
        self,
        domain: str,
        texts: Sequence[str],
        vectors: Float[np.ndarray, "Q D"],
        evidence: Sequence[Evidence],
        compute: Compute[Answer],
    ) -> tuple[Sequence[Answer], Bool[np.ndarray, " Q"]]:
        """The answer to each question of one collection from its evidence."""
        details = [one.passage.astype("<i4").tobytes() for one in evidence]
        layer, scope = self.cache.explanations, self._explanations[domain]
        found, computed, _ = self._ask(layer, scope, domain, texts, vectors, details, compute)
        return found, computed

    def _ask(
        self,
        layer: Remembers[Value],
        scope: Scope,
        domain: str,
        texts: Sequence[str],
        vectors: Float[np.ndarray, "Q D"],
        details: Sequence[bytes],
        compute: Compute[Value],
    ) -> tuple[Sequence[Value], Bool[np.ndarray, " Q"], set[int]]:
        """Values, which of them were computed, and the positions of those that were lent."""
        noted, computed = _noted(compute, len(texts))
        if self._terms is None or not isinstance(layer, Layer):
            return layer.ask(scope, texts, noted, details), computed, set()
        neighbours, lenders = self._neighbours[domain], dict[int, str]()
        forgets = layer is self.cache.evidence  # answers end sooner: that one is gone says nothing of the evidence

        def lend(places: list[int]) -> dict[int, Value]:
            lent: dict[int, Value] = {}
            while places:
                near = neighbours.near([texts[place] for place in places], vectors[places])
                offered = {place: text for place, text in zip(places, near, strict=True) if text is not None}
                lent |= layer.borrow({place: scope.key(text, details[place]) for place, text in offered.items()})
                lenders.update({place: text for place, text in offered.items() if place in lent})
                places = [place for place in offered if place not in lent] if forgets else []
                neighbours.drop(offered[place] for place in places)  # the next nearest may still be there
            return lent

        keys = scope.keys(texts, details)
        found = layer.get_or_compute_many(keys, noted, lend)
        false = [keys[place] for place, lender in lenders.items() if self._terms.is_false(domain, texts[place], lender)]
        if false:  # nothing is forgotten: the lender's value is right for the lender
            layer.disown(false)
        return found, computed, set(lenders)


def _noted(compute: Compute[Value], count: int) -> tuple[Compute[Value], Bool[np.ndarray, " Q"]]:
    """The same, noting what was computed."""
    computed = np.zeros(count, bool)

    def noted(missing: list[int]) -> Sequence[Value]:
        computed[missing] = True
        return compute(missing)

    return noted, computed
