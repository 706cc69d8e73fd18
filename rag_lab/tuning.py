"""A policy's own settings, tuned on train queries alone and then frozen.

Each trial plays the policy on streams from one half of the train queries, by cluster, and values what it would then do,
without exploring, on the other half; the halves change places. A standing policy is tuned within its space; one whose
values somebody changed is taken as it is given. Optuna's TPE proposes, the study is kept like those of the tuned
references (`rag_lab.study`), and the settings of the configuration are the first trial, so tuning never ends below them
on what it looks at.

Shapes: Q queries, A actions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from rag_lab import replay, wiring
from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.channel import Channel
from rag_lab.l4_feedback.policy import Judged, Policy, Setting
from rag_lab.replay import World
from rag_lab.study import Search, Span, alone, bring


class Material(NamedTuple):
    """What there is to tune on. world: of train queries alone; cluster: of each, within its domain; setting: what
    a policy is started with; channel: what it hears; identity: a hash of all that."""

    world: World
    cluster: Int[np.ndarray, " Q"]
    setting: Setting
    channel: Channel
    identity: str


class Settled(NamedTuple):
    """A policy's node with its best settings; the study that found them, and what they are worth on train queries that
    were not learned from: None where there was nothing to tune."""

    node: dict[str, Any]
    study: str | None
    worth: float | None


def tune(storage: Path, name: str, node: Mapping[str, Any], search: Search, material: Material) -> Settled:
    """Search a policy's settings, or read back the search that is finished.

    node: the policy's configuration; name: its standing name, by which its space is found.
    """
    policies = search.policies
    space = policies.spaces.get(name) if policies is not None else None
    if not space or policies is None or not policies.trials:
        return Settled(dict(node), None, None)
    missing = [key for key in space if key not in node]
    if missing:
        raise ConfigError(f"search.spaces.{name}.{missing[0]}: {name} has no such setting")
    halves = _halves(material)
    spans = {key: span.model_dump() for key, span in space.items()}
    what = json.dumps([dict(node), spans, policies[:2], search[:3], material.identity], sort_keys=True, default=str)
    study = f"policy-{name}-{hashlib.sha256(what.encode()).hexdigest()[:24]}"

    def suggest(trial: Any) -> dict[str, Any]:
        return {key: _suggest(trial, key, span) for key, span in space.items()}

    def objective(parameters: dict[str, Any], trial: int) -> float:
        policy = wiring.build({**node, **parameters}, f"policy ({name})")
        return float(np.mean([half(policy, policies.seeds, search) for half in halves]))

    with alone(storage):
        start = {key: node[key] for key in space}
        done = bring(storage, study, suggest, objective, policies.trials, search.seed, queue=[start])
    best, worth = max(done, key=lambda one: round(one[1], 9))
    return Settled({**node, **best}, study, worth)


def cross_validated(policy: Policy, search: Search, material: Material) -> float:
    """What a policy is worth on train queries that it has not learned from: the mean over both halves."""
    seeds = search.policies.seeds if search.policies is not None else 1
    return float(np.mean([half(policy, seeds, search) for half in _halves(material)]))


def _suggest(trial: Any, key: str, span: Span) -> float:
    return float(trial.suggest_float(key, span.low, span.high, log=span.log))


def _halves(material: Material) -> list[Callable[[Policy, int, Search], float]]:
    """For either half of the clusters: play on the rest, value on it. A domain with one cluster is not parted."""
    world = material.world
    side = np.zeros(len(world.domain), bool)
    whole = np.zeros(len(world.domain), bool)
    for domain in range(world.domains):
        own = np.flatnonzero(world.domain == domain)
        clusters = np.unique(material.cluster[own])
        if len(clusters) < 2:
            whole[own] = True
            continue
        shuffled = np.random.default_rng([domain, len(clusters)]).permutation(clusters)
        side[own] = np.isin(material.cluster[own], shuffled[: len(clusters) // 2])

    def half(learn: Int[np.ndarray, " n"], test: Int[np.ndarray, " m"]) -> Callable[[Policy, int, Search], float]:
        own, held = (World(*(part[rows] for part in world)) for rows in (learn, test))

        # What is fitted offline must not have seen the other half either.
        judged = Judged(own.features, own.place, own.rewards)
        setting = replace(material.setting, judged=lambda: judged)

        def played(policy: Policy, seeds: int, search: Search) -> float:
            state = policy.init(setting)
            if policy.learns:
                stream = replay.streams(search.seed, seeds, own.domain, search.per_domain)
                state = replay.play(policy, state, own, stream, seed=search.seed, channel=material.channel).state
            else:
                state = jax.tree.map(lambda x: jnp.asarray(x)[None], state)
            return value(policy, state, held)

        return played

    return [half(np.flatnonzero(a | whole), np.flatnonzero(b | whole)) for a, b in ((side, ~side), (~side, side))]


def value(policy: Policy, states: Any, world: World) -> float:
    """Mean reward, over seeds and domains, of what a policy in these states would do without exploring."""
    actions = replay.greedy(policy, states, world)
    earned = world.rewards[np.arange(len(world.domain)), actions].mean(axis=0)
    return float(np.mean([earned[world.domain == one].mean() for one in range(world.domains)]))
