"""Each policy's worth, estimated from another's log, beside the truth: can a log be trusted to choose by?

The log is the bandit's: its logged seeds' decisions with their propensities. Targets are the other policies of its
action set, frozen. The truth is what a target earns on the very queries of the log. A small effective sample size, or
a single decision that weighs much, is said.

Shapes: S logs, T decisions of each, A actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.experiment.lab import RECALL, Table
from rag_lab.experiment.variants import Variant
from rag_lab.kernels.off_policy import Estimates, estimate
from rag_lab.l4_feedback.channel import Channel
from rag_lab.l4_feedback.policy import Setting

FEW = 0.05  # of a log's decisions: with a smaller effective sample an estimate is a guess
PRIOR_PULLS = 4.0  # that the domain's mean reward is worth in the model's mean of an action

_estimate = jax.jit(jax.vmap(estimate))


class Judgment(NamedTuple):
    """One target. truth: its mean reward on the log's queries; the estimators' means over logs and their root mean
    square errors; effective: share of a log's decisions that still speak; warning: why not to rely on it, or empty."""

    target: str
    truth: float
    ips: float
    ips_error: float
    snips: float
    snips_error: float
    doubly_robust: float
    doubly_robust_error: float
    effective: float
    warning: str


class Log(NamedTuple):
    """What a policy did along some streams, with the probability of every decision. actor: whose it is; path: with
    propensities; its actions are those of the actor's set."""

    actor: Variant
    stream: Int[np.ndarray, "S T"]
    path: replay.Path


def log(
    table: Table, actor: Variant, setting: Setting, stream: Int[np.ndarray, "S T"], channel: Channel, *, seed: int
) -> Log:
    """Play the first seeds again, exactly as they went, this time with propensities."""
    world, policy = table.world(actor.set, true_domain=False), actor.learner
    path = replay.play(policy, policy.init(setting), world, stream, seed=seed, channel=channel, log=True, watch=False)
    return Log(actor, stream, path)


def judge(table: Table, variants: Mapping[str, Variant], logged: Log) -> dict[str, Any]:
    """Evaluate every other policy of the actor's set on its logs, by judged rewards; ready for JSON."""
    one, stream, path = logged
    world, own = table.world(one.set, true_domain=False), table.sets[one.set]
    assert path.propensity is not None
    reward = world.rewards[stream, path.action]
    model = np.stack([_model(world.place[each], acts, got, world) for each, acts, got in zip(
        stream, path.action, reward, strict=True)])  # fmt: skip
    logs = np.arange(len(stream))[:, None]
    found = []
    for name, target in variants.items():
        if not target.chooses or target.set != one.set or target.true_domain or name == one.name:
            continue
        to_own = np.full(len(table.labels), -1)
        to_own[own] = np.arange(len(own))
        does = to_own[target.actions[RECALL][0]][stream]
        place = world.place[stream]
        given = (
            reward, path.propensity, does == path.action,
            model[logs, place, path.action], model[logs, place, does],
        )  # fmt: skip
        truth = world.rewards[stream, does].mean(axis=1)
        found.append(_judgment(name, truth, _estimate(*(jnp.asarray(x, jnp.float32) for x in given)), stream.shape[1]))
    return {
        "log": one.name,
        "logs": len(stream),
        "decisions": stream.shape[1],
        "targets": [row._asdict() for row in found],
    }


def _model(
    place: Int[np.ndarray, " T"], action: Int[np.ndarray, " T"], reward: Float[np.ndarray, " T"], world: replay.World
) -> Float[np.ndarray, "C A"]:
    """Mean reward of every action in every place, from one log, shrunk towards the place's mean."""
    shape = (world.domains + 1, world.rewards.shape[1])
    count, total = np.zeros(shape), np.zeros(shape)
    np.add.at(count, (place, action), 1.0)
    np.add.at(total, (place, action), reward)
    overall = np.where(
        count.sum(axis=1) > 0, total.sum(axis=1) / np.maximum(count.sum(axis=1), 1), float(reward.mean())
    )[:, None]
    return (total + PRIOR_PULLS * overall) / (count + PRIOR_PULLS)


def _judgment(name: str, truth: Float[np.ndarray, " S"], found: Estimates, decisions: int) -> Judgment:
    def both(values: Any) -> tuple[float, float]:
        each = np.asarray(values, np.float64)
        return float(each.mean()), float(np.sqrt(np.square(each - truth).mean()))

    share = float(np.asarray(found.effective).mean()) / decisions
    warning = f"only {share:.1%} of the decisions speak: the log explored too little of it" if share < FEW else ""
    return Judgment(
        name, float(truth.mean()), *both(found.ips), *both(found.snips), *both(found.doubly_robust), share, warning
    )
