"""What the feedback filter is for: a bandit's regret with and without it, at rising shares of dishonest users.

Both see the same streams, and the same crowd at the same level; only the filter differs, so they are compared
seed by seed. Regret is of judged rewards, never of ratings.

Shapes: H noise levels, S seeds, L steps of one domain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.l4_feedback.channel import Crowd, Tally, readers
from rag_lab.l4_feedback.feedback import Settings
from rag_lab.l4_feedback.policy import Pace, Policy, State
from rag_lab.metrics import filtering, interval, learning
from rag_lab.metrics.interval import Interval


class Trial(NamedTuple):
    """What stays the same over noise levels and filters. state: the policy's at the start; kinds: of dishonest users;
    update_every: queries of a domain between two updates.
    """

    policy: Policy
    state: State
    world: replay.World
    stream: Int[np.ndarray, "S T"]
    crowd: Crowd
    kinds: Sequence[int]
    update_every: int


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


def effect(trial: Trial, noises: Sequence[float], settings: Settings, *, seed: int) -> Effect:
    """Play every level twice, without and with a filter of these settings; otherwise as `effects`."""
    return effects(trial, noises, [settings], seed=seed)[0]


def effects(
    trial: Trial,
    noises: Sequence[float],
    candidates: Sequence[Settings],
    *,
    seed: int,
    done: Callable[[], object] = lambda: None,
) -> list[Effect]:
    """The effect of a filter with each of several settings, all against the same play without one.

    Colluders push each place's worst action. done: called after each. ConfigError as `replay.play` and
    `channel.readers` raise it.
    """
    world, domains = trial.world, trial.world.domains
    by_place = learning.mean_rewards(world.rewards, world.domain, world.place, domains + 1)
    promoted, means = by_place.sum(axis=0).argmin(axis=1), by_place.sum(axis=1)
    policy = trial.policy._replace(pace=Pace(trial.update_every, 0))

    def play(settings: Settings | None) -> list[tuple[Float[np.ndarray, "S L"], Tally]]:
        out = []
        for noise in noises:
            channel = readers(trial.crowd, noise, trial.kinds, promoted, settings)
            path = replay.play(policy, trial.state, world, trial.stream, seed=seed, channel=channel, watch=False)
            out.append((learning.cumulative_regret(path.action, means).sum(axis=1), path.heard))
        done()
        return out

    without = [regret for regret, _ in play(None)]
    found = []
    for settings in candidates:
        filtered = play(settings)
        levels = [
            _level(noise, plain, regret, tally, trial.stream.size * trial.crowd.readers)
            for noise, plain, (regret, tally) in zip(noises, without, filtered, strict=True)
        ]
        found.append(Effect(levels, _band(without), _band([regret for regret, _ in filtered])))
    return found


def _level(
    noise: float, without: Float[np.ndarray, "S L"], filtered: Float[np.ndarray, "S L"], tally: Tally, items: int
) -> Level:
    """What a level comes to. items: how many readings there were."""
    caught, dropped, noisy = (int(np.asarray(each).sum()) for each in tally[:3])
    return Level(
        noise,
        interval.of_seeds(without[:, -1]),
        interval.of_seeds(filtered[:, -1]),
        interval.of_seeds(without[:, -1] - filtered[:, -1]),
        1 - (dropped - caught) / (items - noisy),
        *filtering.scores(caught, dropped, noisy),
        noisy / items,
        float((np.asarray(tally.noise_weight) / np.maximum(np.asarray(tally.weight), 1e-9)).mean()),
    )


def _band(regrets: Sequence[Float[np.ndarray, "S L"]]) -> Band:
    return Band(*(np.stack(each) for each in zip(*map(interval.over_seeds, regrets), strict=True)))
