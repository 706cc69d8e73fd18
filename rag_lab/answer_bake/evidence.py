"""What each action shows for each query: for the router's actions, and for rankings that a policy may choose from.

Shapes: Q queries, A actions, N candidates of a query, best first, D dimensions, K places.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from rag_lab.answer_bake import Evidence
from rag_lab.economy.actions import Action
from rag_lab.encoder.shelf import Count
from rag_lab.l3_answer.shown import Scissors, diversified
from rag_lab.types import Collection

BLOCK = 256  # queries diversified together: a hundred candidates each are 40 megabytes of vectors


def of_actions(
    collection: Collection,
    actions: Sequence[Action],
    candidates: Int[np.ndarray, "Q N"],
    scores: Float[np.ndarray, "Q N"],
    vectors: Float[np.ndarray, "passages D"],
    count: Count,
) -> list[list[Evidence]]:
    """The evidence of every query under every action of the router: diversified, so many, cut to its tokens.

    candidates: places of passages in the collection, -1 past the last; scores: of their relevance, on the scale of
    cosines; vectors: of the collection's passages. Actions that differ in their tier alone show the same.
    """
    most = max(action.passages for action in actions)
    chosen = {mmr: _diversified(candidates, scores, vectors, mmr, most) for mmr in {one.mmr for one in actions}}
    scissors = Scissors(count)
    used = np.unique(np.concatenate([places.ravel() for places in chosen.values()]))
    scissors.learn(collection.passages[place] for place in used if place >= 0)
    shown: list[list[Evidence]] = []
    for query in range(len(candidates)):
        known: dict[tuple[int, float, int], Evidence] = {}
        for _, passages, mmr, budget in actions:
            if (passages, mmr, budget) not in known:
                best = _passages(collection, chosen[mmr][query, :passages])
                known[passages, mmr, budget] = scissors.cut(best, budget)
        shown.append([known[passages, mmr, budget] for _, passages, mmr, budget in actions])
    return shown


def of_rankings(collection: Collection, ranked: Int[np.ndarray, "Q A K"]) -> list[list[Evidence]]:
    """The evidence of every query under every action of a retrieval policy: the passages that it ranks first.

    ranked: places of passages in the collection, best first, -1 past the last.
    """
    return [[_passages(collection, places) for places in query] for query in ranked]


def _diversified(
    candidates: Int[np.ndarray, "Q N"],
    scores: Float[np.ndarray, "Q N"],
    vectors: Float[np.ndarray, "passages D"],
    balance: float,
    k: int,
) -> Int[np.ndarray, "Q K"]:
    """The places in the collection of each query's diversified list, -1 past the last."""
    found = []
    for start in range(0, len(candidates), BLOCK):
        part = candidates[start : start + BLOCK]
        padded = np.full((BLOCK, part.shape[1]), -1)  # one shape, one compilation
        padded[: len(part)] = part
        value = np.zeros(padded.shape, np.float32)
        value[: len(part)] = scores[start : start + BLOCK]
        places = np.asarray(diversified(value, vectors[padded], padded >= 0, np.float32(balance), k))[: len(part)]
        found.append(np.where(places >= 0, np.take_along_axis(part, np.maximum(places, 0), axis=1), -1))
    return np.concatenate(found)


def _passages(collection: Collection, places: Int[np.ndarray, " K"]) -> Evidence:
    return tuple(collection.passages[place] for place in places.tolist() if place >= 0)
