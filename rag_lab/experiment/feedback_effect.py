"""What the feedback filter is for: the bandit's regret with and without it, at rising shares of dishonest
users.

Both see the same streams, and the same crowd at the same level; only the filter differs, so they are compared
seed by seed. Regret is of judged rewards, never of ratings.

Shapes: H noise levels, S seeds, L steps of one domain, Q queries, A actions, C contexts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Band(NamedTuple):
    """Cumulative regret by step of a domain, summed over domains: its mean over seeds with its 95% interval."""

    mean: Float[np.ndarray, "H L"]
    low: Float[np.ndarray, "H L"]
    high: Float[np.ndarray, "H L"]


class Level(NamedTuple):
    """One share of dishonest users.

    without, filtered: regret without the filter and with it; saved: their difference, seed by seed. kept: what the
    filter kept of the feedback that is no noise, as a share. The rest: see `metrics.filtering.Detection`.
    """

    noise: float
    without: Interval
    filtered: Interval
    saved: Interval
    kept: float
    precision: float | None
    recall: float | None
    f1: float | None
    noise_share: float
    noise_weight: float


class Effect(NamedTuple):
    """All levels, and regret by step at each of them."""

    levels: list[Level]
    without: Band
    filtered: Band


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
    """Play every level twice, without and with a filter of these settings. Colluders push each context's worst
    action.

    state: the bandit's beliefs at the start; domain, context: of each query, context being the detected
    domain and the last one unknown; stream: as `replay.streams` makes it, domains taking turns. ConfigError
    as `loop.play` raises it.
    """
    return effects(state, rewards, domain, context, stream, noises, setup, [settings], seed=seed)[0]


def effects(
    state: thompson.Arms,
    rewards: Float[np.ndarray, "Q A"],
    domain: Int[np.ndarray, " Q"],
    context: Int[np.ndarray, " Q"],
    stream: Int[np.ndarray, "S T"],
    noises: Sequence[float],
    setup: loop.Setup,
    candidates: Sequence[Settings],
    *,
    seed: int,
    done: Callable[[], object] = lambda: None,
) -> list[Effect]:
    """The effect of a filter with each of several settings, all against the same play without one.

    done: called after each. Otherwise as `effect`.
    """
    contexts = state.mean.shape[0]
    by_context = learning.mean_rewards(rewards, domain, context, contexts)
    promoted = by_context.sum(axis=0).argmin(axis=1)
    means = by_context.sum(axis=1)

    def play(settings: Settings | None) -> list[tuple[Float[np.ndarray, "S L"], loop.Played]]:
        played = [
            loop.play(state, rewards, context, promoted, stream, noise, setup, settings, seed=seed) for noise in noises
        ]
        done()
        return [(learning.cumulative_regret(np.asarray(one.action), means).sum(axis=1), one) for one in played]

    without = [regret for regret, _ in play(None)]
    found = []
    for settings in candidates:
        filtered = play(settings)
        levels = [
            _level(noise, plain, regret, one, stream.size * setup.readers)
            for noise, plain, (regret, one) in zip(noises, without, filtered, strict=True)
        ]
        found.append(Effect(levels, _band(without), _band([regret for regret, _ in filtered])))
    return found


def _level(
    noise: float,
    without: Float[np.ndarray, "S L"],
    filtered: Float[np.ndarray, "S L"],
    played: loop.Played,
    items: int,
) -> Level:
    """What a level comes to. items: how many readings there were."""
    caught, dropped, noisy = (
        int(np.asarray(each).sum()) for each in (played.dropped_noise, played.dropped, played.noise)
    )
    return Level(
        noise,
        over_seeds(without[:, -1]),
        over_seeds(filtered[:, -1]),
        over_seeds(without[:, -1] - filtered[:, -1]),
        1 - (dropped - caught) / (items - noisy),
        *filtering.scores(caught, dropped, noisy),
        noisy / items,
        float(np.asarray(played.noise_weight).mean()),
    )


def over_seeds(values: Float[np.ndarray, " S"]) -> Interval:
    """The mean over seeds; at least two."""
    return Interval(*(float(each) for each in _interval(values)))


def _band(regrets: Sequence[Float[np.ndarray, "S L"]]) -> Band:
    return Band(*(np.stack(each) for each in zip(*map(_interval, regrets), strict=True)))


def _interval(values: Float[np.ndarray, "S ..."]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, and the ends of its interval, over the first axis."""
    mean = values.mean(axis=0)
    half = CONFIDENCE_Z * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return mean, mean - half, mean + half
