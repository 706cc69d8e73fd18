"""What the adaptive experiment tells beside its comparisons: metrics, cost at other prices, tags, notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from rag_lab import study
from rag_lab.economy.prices import Prices
from rag_lab.experiment import verdicts
from rag_lab.experiment.choice import Choice
from rag_lab.experiment.lab import CALLS, COST, MRR, NDCG, QUALITY, RECALL, Lab, Table
from rag_lab.experiment.variants import Variant
from rag_lab.l4_feedback.policy import Budget
from rag_lab.metrics.significance import Estimate

REPORTED = (RECALL, NDCG, MRR, COST, CALLS)


def metrics(lab: Lab, name: str, estimates: dict[tuple[str, str], Estimate]) -> dict[str, float]:
    """A variant's metrics on test, per domain and mean, with intervals."""
    out: dict[str, float] = {}
    for metric in REPORTED:
        estimate = estimates[name, metric]
        for column, prefix in enumerate([*(f"{domain}/" for domain in lab.dataset.domains), ""]):
            low, high = estimate.interval(column)
            out[f"{prefix}{metric}"] = float(estimate.value[column])
            # float32's resamples of a constant may miss it by a rounding
            out[f"{prefix}{metric}_ci_low"] = min(low, out[f"{prefix}{metric}"])
            out[f"{prefix}{metric}_ci_high"] = max(high, out[f"{prefix}{metric}"])
    return out


def on_train(variant: Variant, table: Table) -> dict[str, float]:
    """A variant's quality on train, as means over domains."""
    rows = table.part(test=False)

    def mean(metric: str) -> float:
        values = variant.values(table, metric)[:, rows].mean(axis=0)
        return float(np.mean([values[table.domain[rows] == one].mean() for one in np.unique(table.domain)]))

    return {metric: mean(metric) for metric in QUALITY}


def cost_changes(lab: Lab, table: Table, variants: dict[str, Variant], treatment: str) -> tuple[float, ...]:
    """The treatment's relative cost change against α = 0.5, with each price at half and at twice."""
    if verdicts.BALANCED not in variants:
        return ()
    test = table.part(test=True)

    def cost(name: str, prices: Prices) -> float:
        one = variants[name]
        values = prices.retrieval_usd(table.actions, table.tokens[test], looked=one.looked)
        each = values[np.arange(len(test)), one.actions[RECALL][:, test]].mean(axis=0)
        return float(np.mean([each[table.domain[test] == one].mean() for one in np.unique(table.domain)]))

    return tuple(cost(treatment, prices) / cost(verdicts.BALANCED, prices) - 1 for prices in lab.prices.scaled())


def tags(
    variants: Mapping[str, Variant],
    references: Mapping[str, Callable[[bool, Budget], study.Tuned]],
) -> dict[str, dict[str, str]]:
    """For the tracker: the study behind each variant."""
    tags = {}
    for name, one in variants.items():
        if "budget" in one.node:
            found = references[one.set](one.node["per_domain"], one.node["budget"]).studies
            tags[name] = {"optuna.study": ",".join(found)}
        elif one.study is not None:
            tags[name] = {"optuna.study": one.study}
    return tags


def notes(
    lab: Lab,
    table: Table,
    variants: Mapping[str, Variant],
    chosen: Choice,
    reference: str | None,
    reward: Mapping[str, float],
    regime: str,
) -> list[str]:
    """What a reader must know beside the numbers."""
    out = list(lab.dataset.notes)
    test = table.part(test=True)
    for number, domain in enumerate(lab.dataset.domains):
        clusters = len(np.unique(table.cluster[test[table.domain[test] == number]]))
        if clusters < verdicts.FEW_CLUSTERS:
            out.append(f"{domain} has {clusters} clusters of test queries: too few for any interval to mean much.")
    if table.unjudged:
        out.append(f"{table.unjudged} queries without a relevant passage are left out of ranking metrics.")
    if chosen.worth:
        out.append(
            f"Under test is {chosen.treatment}: of {len(chosen.worth)} policies the one worth most on train queries "
            f"that it had not learned from ({chosen.worth[chosen.treatment]:.4f}), declared before the test split was "
            "looked at."
        )
    if any(one.path is not None for one in variants.values()):
        out.append(
            "A bandit without context can at best tie the better tuned static on a stationary stream; "
            "regret and convergence say what its exploration cost."
        )
    parts = ", ".join(f"{weight:g} × {part}" for part, weight in reward.items() if weight)
    heard = "judgments" if regime == "judged" else "position-debiased clicks"
    out.append(f"Reward is {parts}, heard as {heard}. Costs are of retrieval alone.")
    if not reward.get("groundedness"):
        out.append("Groundedness has no weight in the reward: no generator answers in this experiment.")
    if reference is not None:
        out.append(f"The reference that decides is {reference}: the better of its kind on train.")
    return [*out, *table.notes]
