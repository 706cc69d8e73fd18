"""What of the passages found is shown to a generator: diversified, so many, and within a budget of tokens.

Shapes: N candidates of a query, best first; D dimensions; K places.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import jax
from jaxtyping import Array, Bool, Float, Int

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Count
from rag_lab.kernels import diversify
from rag_lab.l3_answer import prompt
from rag_lab.types import Passage


@partial(jax.jit, static_argnames="k")
@partial(jax.vmap, in_axes=(0, 0, 0, None, None))
def diversified(
    scores: Float[Array, " N"],
    vectors: Float[Array, "N D"],
    real: Bool[Array, " N"],
    balance: Float[Array, ""],
    k: int,
) -> Int[Array, " K"]:
    """Places of the candidates to show, of many queries at once: maximal marginal relevance with λ = `balance`, in
    order, -1 past the last. scores and cosines share a scale. The first k places are the choice for every smaller
    k.
    """
    return diversify.mmr(scores, vectors @ vectors.T, real, balance, k)


@jax.jit
@jax.vmap
def diversity(vectors: Float[Array, "K D"], real: Bool[Array, " K"]) -> Float[Array, ""]:
    """Intra-list diversity of many lists at once: 1 − cosine, averaged over pairs; 0 where there is no pair."""
    return diversify.intra_list(vectors @ vectors.T, real)


class Scissors:
    """Cuts evidence to a budget of tokens, remembering what every passage holds."""

    def __init__(self, count: Count) -> None:
        self._count, self._known = count, dict[str, int]()

    def learn(self, passages: Iterable[Passage]) -> None:
        """Count everything that cutting these passages may ask for."""
        texts = [prompt.mark(1)]
        for passage in passages:
            texts += [passage.title, passage.indexed_text, *sentences.split(passage.text)]
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, map(int, self._count(new)), strict=True))

    def cut(self, passages: Sequence[Passage], budget: int) -> tuple[Passage, ...]:
        """The passages, in order, as long as they fit into the prompt; of the first that does not, the sentences
        that do. All of them must have been learnt.
        """
        mark, shown = self._known[prompt.mark(1)], []
        for passage in passages:
            left = budget - mark
            budget = left - self._known[passage.indexed_text]
            if budget < 0:
                shown += self._start(passage, left)
                break
            shown.append(passage)
        return tuple(shown)

    def _start(self, passage: Passage, left: int) -> list[Passage]:
        """What of a passage fits: its first sentences, or nothing."""
        used, count = self._known[passage.title], 0
        for sentence in sentences.split(passage.text):
            used += self._known[sentence]
            if used > left:
                break
            count += 1
        return [passage._replace(text=sentences.beginning(passage.text, count))] if count else []
