"""The series behind the figures: regret, convergence, posteriors, and recall against α. Kept in curves.json.

Shapes: S seeds, T steps, D domains, C contexts, A actions, L = T/D.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.experiment.lab import NDCG, RECALL, Lab, Table
from rag_lab.experiment.variants import Variant
from rag_lab.experiment.verdicts import EARLY, Convergence
from rag_lab.kernels.thompson import Arms, deviation
from rag_lab.l4_feedback.policy import Ceiling, Policy, Setting
from rag_lab.metrics import learning as measure
from rag_lab.metrics.significance import Resampler

BAND = (0.1, 0.9)  # of seeds, around mean regret
INTERVAL_95 = 1.96  # standard errors, by the normal approximation: there are many seeds
POINTS = 100  # of a curve, at most
_deviations = jax.vmap(deviation)  # over contexts


class Learning(NamedTuple):
    """What the learners' paths show. metrics: by variant; convergence: of the treatment, None if it learns not."""

    metrics: Mapping[str, dict[str, float]]
    convergence: Convergence | None
    regret: Mapping[str, Float[np.ndarray, "S L"]]
    share: Mapping[str, Float[np.ndarray, "D L"]]
    means: Float[np.ndarray, "D A"]


def learning(
    variants: Mapping[str, Variant],
    setting: Setting,
    table: Table,
    stream: Int[np.ndarray, "S T"],
    seed: int,
    treatment: str,
) -> Learning:
    """Regret of every variant and convergence of every learner, with the treatment's contrasts beside it."""
    domains, contexts = len(setting.domains), len(setting.domains) + 1
    train = table.part(test=False)
    rewards = table.metrics[RECALL]
    detected = measure.mean_rewards(rewards[train], table.domain[train], table.context[train], contexts)
    true = measure.mean_rewards(rewards[train], table.domain[train], table.domain[train], contexts)
    means = true.sum(axis=1)
    length = stream.shape[1] // domains
    regret, steps, metrics = {}, {}, {}
    for name, one in variants.items():
        if isinstance(one.policy, Ceiling):
            continue
        if one.path is None:
            regret[name] = np.cumsum(np.full((1, length), _fixed_regret(one, table, train, means)), axis=1)
            continue
        forgone = measure.cumulative_regret(np.asarray(one.path.action), means)
        regret[name] = forgone.mean(axis=1)
        steps[name] = measure.steps_to_converge(np.asarray(one.path.greedy), true if one.true_domain else detected)
        metrics[name] = _by_domain(
            setting.domains,
            {
                "bandit/cumulative_regret": forgone[:, :, -1].mean(axis=0),
                "bandit/convergence_queries": np.median(np.minimum(steps[name], length), axis=0),
            },
        )
    found = None
    if treatment in steps:
        for name, greedy, where in _contrasts(variants[treatment].policy, setting, table, stream, seed):
            steps[name] = measure.steps_to_converge(greedy, where(detected, true))
        found = _convergence(treatment, steps, length)
    by = np.arange(1, length + 1)
    share = {name: measure.share_converged(one, by) for name, one in steps.items()}
    return Learning(metrics, found, regret, share, means)


def _by_domain(domains: tuple[str, ...], metrics: Mapping[str, Float[np.ndarray, " D"]]) -> dict[str, float]:
    """Each metric of each domain under its prefix, and without one the mean over domains."""
    out = {name: float(values.mean()) for name, values in metrics.items()}
    for number, domain in enumerate(domains):
        out |= {f"{domain}/{name}": float(values[number]) for name, values in metrics.items()}
    return out


def online(
    variants: Mapping[str, Variant], table: Table, stream: Int[np.ndarray, "S T"], domains: tuple[str, ...]
) -> dict[str, Any]:
    """Prequential results: the reward that each variant earned on the train stream, while it learned.

    Mean over the stream in each domain and over domains, then over seeds, with the 95% interval of that mean.
    """
    rewards = table.metrics[RECALL]
    out: dict[str, dict[str, list[float]]] = {}
    for name, one in variants.items():
        if isinstance(one.policy, Ceiling):
            continue
        taken = one.actions[RECALL][0][stream] if one.path is None else np.asarray(one.path.action)
        earned = measure.by_domain(rewards[stream, taken], len(domains)).mean(axis=2)
        earned = np.column_stack([earned, earned.mean(axis=1)])
        half = INTERVAL_95 * earned.std(axis=0, ddof=1) / np.sqrt(len(earned))
        out[name] = {
            domain: [float(mean), float(mean - reach), float(mean + reach)]
            for domain, mean, reach in zip((*domains, "mean"), earned.mean(axis=0), half, strict=True)
        }
    return {"seeds": len(stream), "steps": stream.shape[1] // len(domains), "variants": out}


def _fixed_regret(
    one: Variant, table: Table, train: Int[np.ndarray, " n"], means: Float[np.ndarray, "D A"]
) -> float:
    """Expected reward that a fixed policy forgoes on one query, mean over domains."""
    own = one.values(table, RECALL)[0][train]
    return float(np.mean([means[d].max() - own[table.domain[train] == d].mean() for d in range(len(means))]))


def _contrasts(
    policy: Policy | Ceiling, setting: Setting, table: Table, stream: Int[np.ndarray, "S T"], seed: int
) -> Any:
    """(name, greedy actions, which mean rewards they are judged by) of what convergence is read against."""
    assert isinstance(policy, Policy)
    contexts = len(setting.domains) + 1
    rewards = table.metrics[RECALL]

    def played(policy: Policy, setting: Setting) -> Int[np.ndarray, "S T C"]:
        state = policy.init(setting)
        path = replay.play(policy, state, rewards, stream, table.context, seed=seed, contexts=contexts)
        return np.asarray(path.greedy)

    still = policy._replace(update=lambda state, context, action, reward: state)
    yield "flat prior", played(policy, replace(setting, presets=None)), lambda detected, true: detected
    yield "never updates", played(still, setting), lambda detected, true: detected
    full = measure.full_information(rewards, stream, len(setting.domains), contexts)
    yield "full information", full, lambda detected, true: true


def _convergence(treatment: str, steps: Mapping[str, Int[np.ndarray, "S D"]], length: int) -> Convergence:
    """Shares within EARLY queries; the interval is of the mean over seeds (normal approximation)."""
    early = {name: (one <= min(EARLY, length)).mean(axis=1) for name, one in steps.items()}
    own = early[treatment]
    half = INTERVAL_95 * own.std(ddof=1) / np.sqrt(len(own))
    share = float(own.mean())
    median = float(np.median(np.minimum(steps[treatment], length)))
    contrasts = {name: float(one.mean()) for name, one in early.items() if name != treatment}
    return Convergence(share, max(0.0, share - half), min(1.0, share + half), median, contrasts, length, len(own))


def collect(
    lab: Lab,
    table: Table,
    variants: Mapping[str, Variant],
    stream: Int[np.ndarray, "S T"],
    found: Learning,
    resampler: Resampler,
    treatment: str,
    setting: Setting,
) -> dict[str, Any]:
    """Everything that the report draws, ready for JSON."""
    length = next(iter(found.regret.values())).shape[1]
    points = np.unique(np.linspace(0, length - 1, min(POINTS, length)).round().astype(int))
    points = np.union1d(points, min(EARLY, length) - 1)
    low, high = ({name: np.quantile(one, end, axis=0) for name, one in found.regret.items()} for end in BAND)
    domains = lab.dataset.domains
    return {
        "schema": 1,
        "treatment": treatment,
        "domains": list(domains),
        "alphas": table.actions.alpha.tolist(),
        "ceilings": [name for name, one in variants.items() if isinstance(one.policy, Ceiling)],
        "alpha_of": {
            name: alphas_of(one, table, domains)
            for name, one in variants.items()
            if isinstance(one.policy, Policy)
        },
        "recall_by_alpha": _by_alpha(table, domains, resampler),
        "regret": {
            "step": (points + 1).tolist(),
            "seeds": max(len(one) for one in found.regret.values()),
            "unit": "recall@10",
            "variants": {
                name: {
                    "mean": one.mean(axis=0)[points].tolist(),
                    "low": low[name][points].tolist(),
                    "high": high[name][points].tolist(),
                }
                for name, one in found.regret.items()
            },
        },
        "online": online(variants, table, stream, domains),
        "posterior": _posteriors(variants, setting, domains, found.means),
        "convergence": {
            "step": (points + 1).tolist(),
            "threshold": measure.SHARE_OF_BEST,
            "early": EARLY,
            "seeds": next((len(one.path.action) for one in variants.values() if one.path is not None), 0),
            "variants": {
                name: {domain: one[number, points].tolist() for number, domain in enumerate(domains)}
                | {"mean": one.mean(axis=0)[points].tolist()}
                for name, one in found.share.items()
            },
        },
    }


def alphas_of(one: Variant, table: Table, domains: tuple[str, ...]) -> dict[str, float]:
    """The α that a variant takes most often in each domain, over seeds and test queries."""
    actions, test = one.actions[RECALL], table.part(test=True)
    modal = {}
    for number, domain in enumerate(domains):
        taken = actions[:, test[table.domain[test] == number]]
        modal[domain] = float(table.actions.alpha[np.bincount(taken.ravel()).argmax()])
    return modal


def _by_alpha(table: Table, domains: tuple[str, ...], resampler: Resampler) -> dict[str, Any]:
    """Mean recall and nDCG of every fixed α in each domain, on train and on test."""
    test, train = table.part(test=True), table.part(test=False)
    estimates = [
        resampler.estimate(table.metrics[RECALL][test][:, action][None])
        for action in range(len(table.actions.alpha))
    ]
    out: dict[str, Any] = {}
    for number, domain in enumerate(domains):
        own = {"test": test[table.domain[test] == number], "train": train[table.domain[train] == number]}
        out[domain] = {
            split: {
                "recall_at_10": table.metrics[RECALL][rows].mean(axis=0).tolist(),
                "ndcg_at_10": table.metrics[NDCG][rows].mean(axis=0).tolist(),
            }
            for split, rows in own.items()
        }
        ends = [estimate.interval(number) for estimate in estimates]
        out[domain]["test"] |= {
            "recall_at_10_ci_low": [end[0] for end in ends],
            "recall_at_10_ci_high": [end[1] for end in ends],
        }
    return out


def _posteriors(
    variants: Mapping[str, Variant],
    setting: Setting,
    domains: tuple[str, ...],
    means: Float[np.ndarray, "D A"],
) -> dict[str, Any]:
    """Each Gaussian bandit's belief about every α at the end, averaged over seeds, beside its prior."""
    out: dict[str, Any] = {}
    seeds = 0
    for name, one in variants.items():
        if one.path is None or one.true_domain or not isinstance(one.path.state, Arms):
            continue
        assert isinstance(one.policy, Policy)
        start: Arms = jax.tree.map(np.asarray, one.policy.init(setting))
        end: Arms = jax.tree.map(np.asarray, one.path.state)
        prior_sd, sd = np.asarray(_deviations(start)), np.asarray(jax.vmap(_deviations)(end))
        seeds = len(end.mean)
        pulls = end.strength - start.strength
        out[name] = {
            domain: {
                "prior_mean": start.mean[number].tolist(),
                "prior_sd": prior_sd[number].tolist(),
                "mean": end.mean[:, number].mean(axis=0).tolist(),
                "sd": sd[:, number].mean(axis=0).tolist(),
                "pull_share": _shares(np.asarray(pulls)[:, number]),
                "true_mean": means[number].tolist(),
            }
            for number, domain in enumerate(domains)
        }
    return {"seeds": seeds, "variants": out}


def _shares(pulls: Float[np.ndarray, "S A"]) -> list[float]:
    """The mean share of each action; zeros where nothing was pulled, as where the detector is silent."""
    total = float(pulls.sum())
    return [float(count) / max(total, 1.0) for count in pulls.sum(axis=0)]
