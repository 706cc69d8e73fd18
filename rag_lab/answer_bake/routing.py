"""What every router action would bring: answers by every tier's generator, in the form that routers learn from.

Shapes: Q queries, A actions in the order of the action space, F features.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.answer_bake import Desk, Evidence, Scored, score
from rag_lab.economy.actions import Action
from rag_lab.economy.answer_cost import answer_usd
from rag_lab.economy.outcomes import Outcomes
from rag_lab.economy.prices import Prices
from rag_lab.encoder.shelf import Count
from rag_lab.errors import ConfigError
from rag_lab.l3_answer.bill import Bill
from rag_lab.types import Collection, ProgressFactory, Query


class Limits(NamedTuple):
    """The most tokens, beside an action's evidence, that a prompt may hold, and that an answer may."""

    prompt: int
    answer: int


def limits(queries: Sequence[Query], count: Count, answer: int) -> Limits:
    """The limits for these queries, of a generator whose answers hold at most so many tokens."""
    return Limits(Bill(count).beside([query.text for query in queries]), answer)


def score_tiers(
    collection: Collection,
    queries: Sequence[Query],
    actions: Sequence[Action],
    evidence: Sequence[Sequence[Evidence]],
    desks: Mapping[str, Desk],
    folder: Path,
    progress: ProgressFactory,
) -> Scored:
    """`answer_bake.score` with every action's own tier. evidence: as `evidence.of_actions` gives it; desks: by
    tier.

    `said` is the mean over tiers. ConfigError where an action's tier has no desk.
    """
    missing = {action.tier for action in actions} - set(desks)
    if missing:
        raise ConfigError(
            f"no generator answers for the tiers {', '.join(sorted(missing))}; there is one for {', '.join(desks)}"
        )
    columns = {tier: [place for place, action in enumerate(actions) if action.tier == tier] for tier in desks}
    parts = {
        tier: score(collection, queries, [[row[at] for at in its] for row in evidence], desks[tier], folder, progress)
        for tier, its in columns.items()
        if its
    }
    arrays = {name: np.full((len(queries), len(actions)), np.nan) for name in Scored._fields[:-1]}
    for tier, part in parts.items():
        for name, values in arrays.items():
            values[:, columns[tier]] = getattr(part, name)
    return Scored(**arrays, said=np.mean([part.said for part in parts.values()], axis=0))


def outcomes(
    scored: Scored,
    actions: Sequence[Action],
    prices: Prices,
    retrieval_usd: Float[np.ndarray, " Q"],
    features: Float[np.ndarray, "Q F"],
    most: Mapping[str, Limits],
) -> Outcomes:
    """The outcomes under a price table. most: by tier, for the most that an answer of each action can cost."""
    generated = np.column_stack(
        [
            answer_usd(prices, action.tier, scored.tokens_in[:, place], scored.tokens_out[:, place])
            for place, action in enumerate(actions)
        ]
    )
    largest = [
        answer_usd(
            prices,
            action.tier,
            np.array(action.context_tokens + most[action.tier].prompt),
            np.array(most[action.tier].answer),
        )
        for action in actions
    ]
    names = {name: f"answer/{name}" for name in Scored._fields[:9]} | {"diversity": "diversity/evidence"}
    return Outcomes(
        quality=scored.quality,
        cost_usd=generated + retrieval_usd[:, None],
        diversity=scored.diversity,
        confidence=scored.confidence,
        retrieval_usd=retrieval_usd,
        features=features,
        most_usd=np.array(largest, float) + retrieval_usd.max(),
        scores={
            **{metric: getattr(scored, name) for name, metric in names.items()},
            "cost/answer_usd": generated,
            "cost/answer_calls": scored.calls,
        },
    )
