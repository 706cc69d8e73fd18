"""What the feedback filter is for: the bandit's regret with and without it, at rising shares of dishonest
users.

Both see the same streams, and the same crowd at the same level; only the filter differs, so they are compared
seed by seed. Regret is of judged rewards, never of ratings.

Shapes: H noise levels, S seeds, L steps of one domain, Q queries, A actions, C contexts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.kernels import thompson
from rag_lab.l4_feedback import loop
from rag_lab.l4_feedback.feedback import Settings
from rag_lab.metrics import filtering, learning

CONFIDENCE_Z = 1.96  # two-sided 95% of a normal mean: seeds are independent and hundreds


class Interval(NamedTuple):
    """A mean over seeds with its 95% interval."""

    mean: float
    low: float
    high: float


class Level(NamedTuple):
    """One share of dishonest users. saved: regret without the filter less regret with it, seed by seed."""

    noise: float
    without: Interval
    filtered: Interval
    saved: Interval
    precision: float | None
    recall: float | None
    f1: float | None
    noise_share: float
    noise_weight: float


class Effect(NamedTuple):
    """All levels, and the mean cumulative regret by step of a domain, summed over domains."""

    levels: list[Level]
    without: Float[np.ndarray, "H L"]
    filtered: Float[np.ndarray, "H L"]


def effect(
    state: thompson.Arms,
    rewards: Float[np.ndarray, "Q A"],
    domain: Int[np.ndarray, " Q"],
    context: Int[np.ndarray, " Q"],
    stream: Int[np.ndarray, "S T"],
    noises: Sequence[float],
    setup: loop.Setup,
    settings: Settings,
    *,
    seed: int,
) -> Effect:
    """Play every level twice. Colluders push each context's worst action.

    state: the bandit's beliefs at the start; domain, context: of each query, context being the detected
    domain and the last one unknown; stream: as `replay.streams` makes it, domains taking turns. ConfigError
    as `loop.play` raises it.
    """
    contexts = state.mean.shape[0]
    by_context = learning.mean_rewards(rewards, domain, context, contexts)
    promoted = by_context.sum(axis=0).argmin(axis=1)
    means = by_context.sum(axis=1)
    levels, curves = [], []
    for noise in noises:
        pair = [
            loop.play(state, rewards, context, promoted, stream, noise, setup, used, seed=seed)
            for used in (None, settings)
        ]
        without, filtered = (learning.cumulative_regret(np.asarray(one.action), means).sum(axis=1) for one in pair)
        caught, dropped, noisy = (
            int(np.asarray(each).sum()) for each in (pair[1].dropped_noise, pair[1].dropped, pair[1].noise)
        )
        levels.append(
            Level(
                noise,
                over_seeds(without[:, -1]),
                over_seeds(filtered[:, -1]),
                over_seeds(without[:, -1] - filtered[:, -1]),
                *filtering.scores(caught, dropped, noisy),
                noisy / (stream.size * setup.readers),
                float(np.asarray(pair[1].noise_weight).mean()),
            )
        )
        curves.append((without.mean(axis=0), filtered.mean(axis=0)))
    without_curves, filtered_curves = (np.stack(each) for each in zip(*curves, strict=True))
    return Effect(levels, without_curves, filtered_curves)


def over_seeds(values: Float[np.ndarray, " S"]) -> Interval:
    """The mean over seeds; at least two."""
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, mean - CONFIDENCE_Z * error, mean + CONFIDENCE_Z * error)
