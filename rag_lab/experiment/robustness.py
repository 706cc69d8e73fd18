"""How policies stand what a live system does to them: noise, liars, drift, a cold start, a domain that appears later.

Policies act in batches and hear simulated readers, with and without the feedback filter; both see the same streams and
the same crowd. What is told is regret of judged rewards against the best fixed action of the domain (of the phase,
where the world drifts), cumulated over the stream and averaged over domains, with intervals over seeds.

Shapes: S seeds, T steps, L rounds, D domains, Q queries, A actions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd, readers
from rag_lab.l4_feedback.feedback import Settings
from rag_lab.l4_feedback.policy import Pace, Policy, Setting
from rag_lab.metrics import filtering, interval
from rag_lab.replay import World

DRIFT = "drift: actions change places midway"


class Plan(NamedTuple):
    """How much is played. policies: standing names; noises: shares of dishonest users; update_every: queries of
    a domain between two updates; crowd, readers, window, step_s: see `channel.Crowd`."""

    seeds: int
    policies: tuple[str, ...]
    noises: tuple[float, ...]
    update_every: int
    crowd: int
    readers: int
    window: int
    step_s: float


class Row(NamedTuple):
    """One scenario. filtered: whether the feedback filter stood between. saved: regret that the filter saved, seed by
    seed. precision, recall: of the filter's drops, where noise is known."""

    scenario: str
    policy: str
    noise: float
    filtered: bool
    regret: float
    regret_low: float
    regret_high: float
    saved: float | None = None
    saved_low: float | None = None
    saved_high: float | None = None
    precision: float | None = None
    recall: float | None = None


class _Scene(NamedTuple):
    """A world, the streams through it, and from which step on regret counts."""

    name: str
    world: World
    stream: Int[np.ndarray, "S T"]
    setting: Setting
    kinds: tuple[int, ...]
    noises: Sequence[float]
    start: int = 0


def rows(
    plan: Plan,
    policies: Mapping[str, Policy],
    setting: Setting,
    world: World,
    stream: Int[np.ndarray, "S T"],
    settings: Settings,
    *,
    seed: int,
) -> list[Row]:
    """Every scenario for every policy. world, stream: of train queries; settings: the filter's."""
    out: list[Row] = []
    for scene in _scenes(plan, setting, world, stream):
        for name, policy in policies.items():
            paced = policy._replace(pace=Pace(plan.update_every, 0))
            state = policy.init(scene.setting)
            for noise in scene.noises:
                pair = [_regret(scene, plan, paced, state, noise, used, seed) for used in (None, settings)]
                out += _told(scene.name, name, noise, pair)
    return out


def _scenes(plan: Plan, setting: Setting, world: World, stream: Int[np.ndarray, "S T"]) -> Iterator[_Scene]:
    calm, liars = (0.0,), (int(users.Kind.COLLUDER),)
    some = tuple(noise for noise in plan.noises if noise > 0)
    # Every scene has the drifting world's queries, whether it drifts or not: one compiled program serves all.
    both, moved = _drift(world, stream)
    yield _Scene("noise", both, stream, setting, users.NOISY, plan.noises)
    yield _Scene("colluding group", both, stream, setting, liars, some)
    yield _Scene(DRIFT, both, moved, setting, users.NOISY, calm)
    yield _Scene("cold start: no presets", both, stream, replace(setting, presets=None), users.NOISY, calm)
    if world.domains > 1:
        late, start = _newcomer(world, stream)
        yield _Scene("new domain midway", both, late, setting, users.NOISY, calm, start)


def _drift(world: World, stream: Int[np.ndarray, "S T"]) -> tuple[World, Int[np.ndarray, "S T"]]:
    """A world of twice as many queries, in whose second half action a earns what the last but a earned before."""
    turned = world._replace(rewards=world.rewards[:, ::-1], clues=world.clues[:, ::-1])
    both = World(*(np.concatenate(pair) for pair in zip(world, turned, strict=True)))
    moved = stream.copy()
    moved[:, stream.shape[1] // 2 :] += len(world.domain)
    return both, moved


def _newcomer(world: World, stream: Int[np.ndarray, "S T"]) -> tuple[Int[np.ndarray, "S T"], int]:
    """Until midway the last domain's turns are the first domain's; the step from which regret counts."""
    rounds = stream.reshape(len(stream), -1, world.domains).copy()
    half = rounds.shape[1] // 2
    rounds[:, :half, -1] = rounds[:, half : 2 * half, 0]
    return rounds.reshape(len(stream), -1), half * world.domains


def _regret(
    scene: _Scene, plan: Plan, policy: Policy, state: Any, noise: float, settings: Settings | None, seed: int
) -> tuple[Float[np.ndarray, " S"], Any]:
    """Each seed's regret at the end, mean over domains, and what the channel counted."""
    crowd = Crowd(plan.crowd, plan.readers, plan.window, plan.step_s, users.BEHAVIOUR)
    means, group = _means(scene.world)
    best = means.max(axis=1)
    promoted = np.array([means[one].argmin() for one in [*range(scene.world.domains), 0]])
    channel = readers(crowd, noise, scene.kinds, promoted, settings)
    path = replay.play(policy, state, scene.world, scene.stream, seed=seed, channel=channel)
    earned = scene.world.rewards[scene.stream, path.action]
    lost = (best[group[scene.stream]] - earned)[:, scene.start :]
    return lost.sum(axis=1) / scene.world.domains, path.heard


def _means(world: World) -> tuple[Float[np.ndarray, "G A"], Int[np.ndarray, " Q"]]:
    """Mean rewards of groups of queries that have one best action: domains, before and after a drift."""
    after = np.arange(len(world.domain)) >= len(world.domain) // 2
    group = world.domain + after * world.domains
    return np.stack([world.rewards[group == one].mean(axis=0) for one in range(group.max() + 1)]), group


def _told(scenario: str, policy: str, noise: float, pair: Sequence[tuple[Float[np.ndarray, " S"], Any]]) -> list[Row]:
    (plain, _), (filtered, tally) = pair
    caught, dropped, noisy = (int(np.asarray(one).sum()) for one in tally[:3])
    precision, recall, _ = filtering.scores(caught, dropped, noisy)
    return [
        Row(scenario, policy, noise, False, *interval.of_seeds(plain)),
        Row(
            scenario,
            policy,
            noise,
            True,
            *interval.of_seeds(filtered),
            *interval.of_seeds(plain - filtered),
            precision,
            recall,
        ),
    ]
