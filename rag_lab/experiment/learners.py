"""What learners' paths show: regret against what could have been had, and how soon they converge.

Shapes: S seeds, T steps, D domains, C places, A actions of a set, L = T/D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.experiment.lab import RECALL, Table
from rag_lab.experiment.variants import Variant
from rag_lab.experiment.verdicts import EARLY, Convergence
from rag_lab.l4_feedback.channel import Channel
from rag_lab.l4_feedback.policy import Policy, Setting
from rag_lab.metrics import interval
from rag_lab.metrics import learning as measure


class Learning(NamedTuple):
    """What the learners' paths show. metrics: by variant; convergence: of the bandit looked at, None without one;
    regret: mean over domains; share: of seeds converged; means: true mean reward of each action on train, by set."""

    metrics: Mapping[str, dict[str, float]]
    convergence: Convergence | None
    regret: Mapping[str, Float[np.ndarray, "S L"]]
    share: Mapping[str, Float[np.ndarray, "D L"]]
    means: Mapping[str, Float[np.ndarray, "D A"]]


def learning(
    variants: Mapping[str, Variant],
    settings: Mapping[str, Setting],
    table: Table,
    streams: Mapping[str, Int[np.ndarray, "S T"]],
    seed: int,
    bandit: str | None,
    channel: Channel,
) -> Learning:
    """Regret of every variant and convergence of every learner, with the bandit's contrasts beside it.

    Regret is against the best action of a domain within the variant's own set; `regret_to_static` is against the one
    action that is best for all domains. settings, streams: by action set.
    """
    names = next(iter(settings.values())).domains
    domains, places = len(names), len(names) + 1
    train, length = table.part(test=False), next(iter(streams.values())).shape[1] // domains
    detected, true, means = {}, {}, {}
    for action_set, own in table.sets.items():
        rewards = table.reward[train][:, own]
        given = (rewards, table.domain[train])
        detected[action_set] = measure.mean_rewards(*given, table.context[train], places)
        true[action_set] = measure.mean_rewards(*given, table.domain[train], places)
        means[action_set] = true[action_set].sum(axis=1)
    regret, steps, metrics = {}, {}, {}
    for name, one in variants.items():
        if not one.chooses:
            continue
        best, stream = means[one.set], streams[one.set]
        if one.path is None:
            forgone = _fixed_regret(one, table, train, best)
            regret[name] = np.cumsum(np.full((1, length), forgone), axis=1)
            continue
        if one.learner.contextual:
            earned = table.reward[:, table.sets[one.set]][stream, one.path.action]
            lost = measure.cumulative_regret_of(earned, best)
        else:
            lost = measure.cumulative_regret(one.path.action, best)
        regret[name] = lost.mean(axis=1)
        steps[name] = _steps(one, one.path, table, stream, true[one.set] if one.true_domain else detected[one.set])
        ahead = best.max(axis=1) - best[:, best.mean(axis=0).argmax()]  # of a domain's best over the global one
        final = lost[:, :, -1].mean(axis=0)
        metrics[name] = _by_domain(
            names,
            {
                "bandit/cumulative_regret": final,
                "bandit/regret_to_static": final - ahead * length,
                "bandit/convergence_queries": np.median(np.minimum(steps[name], length), axis=0),
            },
        )
    found = None
    if bandit is not None:
        one = variants[bandit]
        against = _contrasts(one, settings[one.set], table, streams[one.set], seed, channel, detected, true)
        contrasts = dict(against)
        found = _convergence(steps[bandit], contrasts, length)
        steps |= contrasts
    by = np.arange(1, length + 1)
    share = {name: measure.share_converged(one, by) for name, one in steps.items()}
    return Learning(metrics, found, regret, share, means)


def _steps(
    one: Variant,
    path: replay.Path,
    table: Table,
    stream: Int[np.ndarray, "S T"],
    means: Float[np.ndarray, "D C A"],
) -> Int[np.ndarray, "S D"]:
    """When each seed converged in each domain: from the choices themselves, or, where they depend on the query, from
    what they are worth on the probed queries."""
    if path.greedy is not None:
        return measure.steps_to_converge(path.greedy, means, one.learner.pace.update_every)
    assert path.value is not None
    domains = len(means)
    probed = replay.probe(stream, domains)
    best = table.reward[:, table.sets[one.set]][probed].mean(axis=1).max(axis=1)
    return measure.steps_by_value(path.value, best, stream.shape[1] // domains // path.value.shape[1])


def _by_domain(domains: tuple[str, ...], metrics: Mapping[str, Float[np.ndarray, " D"]]) -> dict[str, float]:
    """Each metric of each domain under its prefix, and without one the mean over domains."""
    out = {name: float(values.mean()) for name, values in metrics.items()}
    for number, domain in enumerate(domains):
        out |= {f"{domain}/{name}": float(values[number]) for name, values in metrics.items()}
    return out


def _fixed_regret(one: Variant, table: Table, train: Int[np.ndarray, " n"], means: Float[np.ndarray, "D A"]) -> float:
    """Expected reward that a policy which does not learn forgoes on one query, mean over domains."""
    own = table.reward[train, one.actions[RECALL][0][train]]
    return float(np.mean([means[d].max() - own[table.domain[train] == d].mean() for d in range(len(means))]))


def _contrasts(
    one: Variant,
    setting: Setting,
    table: Table,
    stream: Int[np.ndarray, "S T"],
    seed: int,
    channel: Channel,
    detected: Mapping[str, Float[np.ndarray, "D C A"]],
    true: Mapping[str, Float[np.ndarray, "D C A"]],
) -> Any:
    """(name, steps to convergence) of what the bandit's is read against."""
    policy, world = one.learner, table.world(one.set, true_domain=False)

    def played(policy: Policy, setting: Setting) -> Int[np.ndarray, "S D"]:
        path = replay.play(policy, policy.init(setting), world, stream, seed=seed, channel=channel)
        return _steps(one, path, table, stream, detected[one.set])

    still = policy._replace(update=_still)
    yield "flat prior", played(policy, replace(setting, presets=None))
    yield "never updates", played(still, setting)
    full = measure.full_information(world.rewards, stream, len(setting.domains))
    yield "full information", measure.steps_to_converge(full, true[one.set])


def _still(state: Any, context: Any, action: Any, reward: Any, weight: Any) -> Any:
    return state


def _convergence(
    own: Int[np.ndarray, "S D"], contrasts: Mapping[str, Int[np.ndarray, "S D"]], length: int
) -> Convergence:
    """Shares within EARLY queries, the bandit's own with its interval over seeds."""

    def early(steps: Int[np.ndarray, "S D"]) -> Float[np.ndarray, " S"]:
        return (steps <= min(EARLY, length)).mean(axis=1)

    share, low, high = interval.of_seeds(early(own))
    beside = {name: float(early(one).mean()) for name, one in contrasts.items()}
    median = float(np.median(np.minimum(own, length)))
    return Convergence(share, max(0.0, low), min(1.0, high), median, beside, length, len(own))
