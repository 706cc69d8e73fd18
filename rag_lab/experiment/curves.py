"""The series behind the figures: regret, convergence, posteriors, and recall against α. Kept in curves.json.

Shapes: S seeds, T steps, D domains, C places, A actions of a set, L = T/D.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from rag_lab.experiment.lab import NDCG, RECALL, Lab, Table
from rag_lab.experiment.learners import Learning
from rag_lab.experiment.variants import PLAIN, Variant
from rag_lab.experiment.verdicts import EARLY
from rag_lab.l4_feedback.policy import Ceiling, Context, Policy, Setting
from rag_lab.metrics import interval
from rag_lab.metrics import learning as measure
from rag_lab.metrics.significance import Resampler

BAND = (0.1, 0.9)  # of seeds, around mean regret
POINTS = 100  # of a curve, at most
SHOWN = 10  # steps at which beliefs are kept, at most: close together at first, when they move


def online(
    variants: Mapping[str, Variant],
    table: Table,
    streams: Mapping[str, Int[np.ndarray, "S T"]],
    domains: tuple[str, ...],
) -> dict[str, Any]:
    """Prequential results: the true reward that each variant earned on the train stream, while it learned.

    Mean over the stream in each domain and over domains, then over seeds, with the 95% interval of that mean.
    """
    out: dict[str, dict[str, list[float]]] = {}
    for name, one in variants.items():
        if not one.chooses:
            continue
        stream = streams[one.set]
        taken = one.actions[RECALL][0][stream] if one.path is None else table.sets[one.set][one.path.action]
        earned = measure.by_domain(table.reward[stream, taken], len(domains)).mean(axis=2)
        earned = np.column_stack([earned, earned.mean(axis=1)])
        ends = zip(*interval.over_seeds(earned), strict=True)
        out[name] = {
            domain: [float(end) for end in each] for domain, each in zip((*domains, "mean"), ends, strict=True)
        }
    longest = max(streams.values(), key=len)
    return {"seeds": len(longest), "steps": longest.shape[1] // len(domains), "variants": out}


def collect(
    lab: Lab,
    table: Table,
    variants: Mapping[str, Variant],
    streams: Mapping[str, Int[np.ndarray, "S T"]],
    found: Learning,
    resampler: Resampler,
    treatment: str,
    settings: Mapping[str, Setting],
    worth: Mapping[str, float],
) -> dict[str, Any]:
    """Everything that the report draws, ready for JSON."""
    length = next(iter(found.regret.values())).shape[1]
    points = np.unique(np.linspace(0, length - 1, min(POINTS, length)).round().astype(int))
    points = np.union1d(points, min(EARLY, length) - 1)
    low, high = ({name: np.quantile(one, end, axis=0) for name, one in found.regret.items()} for end in BAND)
    domains = lab.dataset.domains
    return {
        "schema": 2,
        "treatment": treatment,
        "train_value": dict(worth),
        "domains": list(domains),
        "alphas": table.actions.alpha[table.sets[PLAIN]].tolist() if PLAIN in table.sets else [],
        "action_sets": {name: [table.labels[one] for one in own] for name, own in table.sets.items()},
        "ceilings": [name for name, one in variants.items() if isinstance(one.policy, Ceiling)],
        "alpha_of": {
            name: {domain: float(table.actions.alpha[action]) for domain, action in modal(one, table, domains).items()}
            for name, one in variants.items()
            if isinstance(one.policy, Policy)
        },
        "action_of": {
            name: {domain: table.labels[action] for domain, action in modal(one, table, domains).items()}
            for name, one in variants.items()
            if isinstance(one.policy, Policy)
        },
        "recall_by_alpha": _by_alpha(table, domains, resampler) if PLAIN in table.sets else {},
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
        "online": online(variants, table, streams, domains),
        "posterior": _posteriors(variants, settings, domains, found.means),
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


def modal(one: Variant, table: Table, domains: tuple[str, ...]) -> dict[str, int]:
    """The action that a variant takes most often in each domain, over seeds and test queries."""
    actions, test = one.actions[RECALL], table.part(test=True)
    return {
        domain: int(np.bincount(actions[:, test[table.domain[test] == number]].ravel()).argmax())
        for number, domain in enumerate(domains)
    }


def _by_alpha(table: Table, domains: tuple[str, ...], resampler: Resampler) -> dict[str, Any]:
    """Mean recall and nDCG of every fixed α in each domain, on train and on test."""
    test, train, plain = table.part(test=True), table.part(test=False), table.sets[PLAIN]
    estimates = [resampler.estimate(table.metrics[RECALL][test][:, action][None]) for action in plain]
    out: dict[str, Any] = {}
    for number, domain in enumerate(domains):
        own = {"test": test[table.domain[test] == number], "train": train[table.domain[train] == number]}
        out[domain] = {
            split: {
                "recall_at_10": table.metrics[RECALL][rows][:, plain].mean(axis=0).tolist(),
                "ndcg_at_10": table.metrics[NDCG][rows][:, plain].mean(axis=0).tolist(),
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
    settings: Mapping[str, Setting],
    domains: tuple[str, ...],
    means: Mapping[str, Float[np.ndarray, "D A"]],
) -> dict[str, Any]:
    """What each bandit over α alone believes of every α, averaged over seeds, beside its prior.

    step: after how many queries of a domain; mean, sd, pull_share: a row for each.
    """
    out: dict[str, Any] = {}
    steps: list[int] = []
    seeds = 0
    for name, one in variants.items():
        if one.path is None or one.path.belief is None or one.true_domain or one.set != PLAIN:
            continue
        setting, believe = settings[PLAIN], one.learner.belief
        assert believe is not None
        at = Context(jnp.arange(len(domains)), jnp.zeros((len(domains), len(setting.features))))
        start = jax.tree.map(np.asarray, jax.vmap(believe, in_axes=(None, 0))(one.learner.init(setting), at))
        taken = measure.by_domain(one.path.action, len(domains))
        ends = np.linspace(0, taken.shape[2], len(one.path.belief.mean) + 1).astype(int)
        kept = np.unique(np.geomspace(1, len(ends) - 1, SHOWN).round().astype(int))
        seeds, steps = len(taken), ends[kept].tolist()
        out[name] = {
            domain: {
                "prior_mean": start.mean[number].tolist(),
                "prior_sd": start.deviation[number].tolist(),
                "mean": one.path.belief.mean[kept - 1, number].tolist(),
                "sd": one.path.belief.deviation[kept - 1, number].tolist(),
                "pull_share": [_shares(taken[:, number, :end], len(setting.alphas)) for end in steps],
                "true_mean": means[PLAIN][number].tolist(),
            }
            for number, domain in enumerate(domains)
        }
    return {"seeds": seeds, "step": steps, "variants": out}


def _shares(taken: Int[np.ndarray, "S L"], actions: int) -> list[float]:
    """The share of decisions that took each action."""
    counts = np.bincount(taken.ravel(), minlength=actions)
    return [float(count) / taken.size for count in counts]
