"""What every action would bring on every query: baked once, learned from and replayed by every router.

Shapes: Q queries, A actions in the order of the action space, F features. Amounts are US dollars of one answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.errors import DataError


class Outcomes(NamedTuple):
    """Baked arrays. NaN marks a score that could not be given; it is never 0.

    quality, diversity: in [0, 1], the more the better. cost_usd: of the whole answer, retrieval included.
    retrieval_usd: the part of it that is paid once, however many actions are tried on the query. confidence: what
    the generator itself thinks of its answer, in [0, 1], known only once it has answered. features: known before
    routing (of the query and of what was retrieved for it), in any unit. most_usd: no answer of this action can
    cost more, by its context budget and its limit on answers. scores: whatever else is reported of an answer, by
    metric name.
    """

    quality: Float[np.ndarray, "Q A"]
    cost_usd: Float[np.ndarray, "Q A"]
    diversity: Float[np.ndarray, "Q A"]
    confidence: Float[np.ndarray, "Q A"]
    retrieval_usd: Float[np.ndarray, " Q"]
    features: Float[np.ndarray, "Q F"]
    most_usd: Float[np.ndarray, " A"]
    scores: Mapping[str, Float[np.ndarray, "Q A"]]

    def part(self, rows: Int[np.ndarray, " part"]) -> Outcomes:
        """The outcomes of some of the queries."""
        return Outcomes(
            self.quality[rows],
            self.cost_usd[rows],
            self.diversity[rows],
            self.confidence[rows],
            self.retrieval_usd[rows],
            self.features[rows],
            self.most_usd,
            {name: values[rows] for name, values in self.scores.items()},
        )

    def scored(self) -> Int[np.ndarray, " part"]:
        """The queries that have every score of every action; DataError where there is none."""
        whole = np.isfinite(self.quality) & np.isfinite(self.cost_usd) & np.isfinite(self.diversity)
        rows = np.flatnonzero(whole.all(axis=1))
        if not len(rows):
            raise DataError(
                "no query has a quality, a cost and a diversity for every action, so nothing can be learned"
            )
        return rows


def joined(parts: Sequence[Outcomes]) -> Outcomes:
    """The outcomes of several collections, one after another; they have the same actions and the same scores."""

    def rows(name: str) -> np.ndarray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Outcomes(
        rows("quality"),
        rows("cost_usd"),
        rows("diversity"),
        rows("confidence"),
        rows("retrieval_usd"),
        rows("features"),
        np.max([part.most_usd for part in parts], axis=0),
        {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
    )
