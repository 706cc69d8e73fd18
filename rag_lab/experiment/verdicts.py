"""The verdicts of the adaptive experiment, each from the interval of what its target names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rag_lab.experiment.lab import COST, RECALL
from rag_lab.metrics.significance import LEVEL, Comparison, Estimate
from rag_lab.metrics.targets import TARGETS, Judged, Target, measured, not_measured, verdict

NOT_WORSE = -0.02
BALANCED = "static"
CEILING = "oracle_query"
EARLY = 100  # queries of a domain
HORIZON, SEEDS = 500, 1000  # what the protocol asks of a convergence figure
FEW_CLUSTERS = 10  # of test queries in a domain: with fewer, a bootstrap interval means nothing


class Convergence(NamedTuple):
    """Of the bandit looked at: share of seeds converged within EARLY queries, its interval, and the contrasts' shares.

    median: of the step, over seeds and domains; horizon: queries of a domain; seeds: how many there were.
    """

    share: float
    low: float
    high: float
    median: float
    contrasts: Mapping[str, float]
    horizon: int
    seeds: int


class Measured(NamedTuple):
    """What the verdicts are made from.

    action_set: the treatment's; reference: the tuned static that decides, if the run has one. bandit: whose convergence
    it is: the treatment, or another learner where that does not learn, or None. cost_changes: the treatment's relative
    cost change against BALANCED with each price at half and at twice. fewest_clusters: of test queries, over domains.
    """

    treatment: str
    action_set: str
    reference: str | None
    estimates: Mapping[tuple[str, str], Estimate]
    comparisons: list[Comparison]
    bandit: str | None
    convergence: Convergence | None
    domains: tuple[str, ...]
    cost_changes: tuple[float, ...]
    fewest_clusters: int
    gap_closed: Mapping[str, float]


def relative(estimates: Mapping[tuple[str, str], Estimate], metric: str, treatment: str, baseline: str) -> Estimate:
    """Relative change of a metric, (treatment − baseline)/baseline, resample by resample."""
    one, other = estimates[treatment, metric], estimates[baseline, metric]
    return Estimate(one.value / other.value - 1, one.draws / other.draws - 1)


def gap_closed(
    estimates: Mapping[tuple[str, str], Estimate], treatment: str, reference: str | None, suffix: str
) -> dict[str, float]:
    """How much of the way from the best static to the per-query oracle of its action set the treatment went, with its
    interval. suffix: of the names of variants on that set.

    Empty where the run lacks either end, or where the oracle is nowhere above the static.
    """
    ceiling = CEILING + suffix
    if reference is None or (ceiling, RECALL) not in estimates:
        return {}
    one, low, high = (estimates[name, RECALL] for name in (treatment, reference, ceiling))
    gap = high.draws[:, -1] - low.draws[:, -1]
    if not (gap > 0).all():
        return {}
    draws = (one.draws[:, -1] - low.draws[:, -1]) / gap
    value = (one.value[-1] - low.value[-1]) / (high.value[-1] - low.value[-1])
    ends = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2])
    name = "bandit/gap_closed"
    return {name: float(value), f"{name}_ci_low": float(ends[0]), f"{name}_ci_high": float(ends[1])}


def judge(found: Measured) -> list[Judged]:
    """Every target of the roadmap: judged where this run measured it, else with the reason why not."""
    judges = {
        "w2.recall": _recall,
        "w2.beats_static": _beats_static,
        "w2.cost": _cost,
        "w2.convergence": _convergence,
    }
    return [
        judges[target.id](target, found) if target.id in judges else not_measured(target, target.absent)
        for target in TARGETS
    ]


def _unfounded(found: Measured, metric: str) -> str | None:
    """Why no interval of this metric can be trusted, or None."""
    if found.fewest_clusters < FEW_CLUSTERS:
        return f"too few test queries: a domain has {found.fewest_clusters} clusters, not {FEW_CLUSTERS}"
    if (found.estimates[BALANCED, metric].draws <= 0).any():
        return f"'{BALANCED}' is 0 in a resample, so nothing can be relative to it"
    return None


def _gap(found: Measured) -> str:
    name = "bandit/gap_closed"
    if name not in found.gap_closed:
        return "gap closed to the per-query oracle: not measured"
    value, low, high = (found.gap_closed[name + end] for end in ("", "_ci_low", "_ci_high"))
    return f"gap closed from {found.reference} to the per-query oracle {value:+.0%} [{low:+.0%}, {high:+.0%}]"


def _recall(target: Target, found: Measured) -> Judged:
    if (BALANCED, RECALL) not in found.estimates or found.treatment == BALANCED:
        return not_measured(target, f"needs '{BALANCED}' among the references, and another policy than it")
    if unfounded := _unfounded(found, RECALL):
        return not_measured(target, unfounded)
    change = relative(found.estimates, RECALL, found.treatment, BALANCED)
    low, high = change.interval(-1)
    each = ", ".join(
        f"{domain} {change.value[column]:+.1%} [{', '.join(f'{end:+.1%}' for end in change.interval(column))}]"
        for column, domain in enumerate(found.domains)
    )
    base = float(found.estimates[BALANCED, RECALL].value[-1])
    return measured(
        target, float(change.value[-1]), low, high, verdict(target.target, True, low, high),
        f"mean over domains, relative, action set {found.action_set}; {each}; {_gap(found)}", base,
    )  # fmt: skip


def _beats_static(target: Target, found: Measured) -> Judged:
    if found.reference is None:
        return not_measured(target, "needs static_tuned or static_domain_tuned among the references")
    if found.fewest_clusters < FEW_CLUSTERS:
        return not_measured(target, f"too few test queries: {found.fewest_clusters} clusters in a domain")
    one, other = found.estimates[found.treatment, RECALL], found.estimates[found.reference, RECALL]
    change = Estimate(one.value - other.value, one.draws - other.draws)
    low, high = change.interval(-1)
    primary = [row for row in found.comparisons if row.family == "primary"]
    better = [row.domain for row in primary if row.difference > 0 and row.p_adjusted < LEVEL]
    worse = [row.domain for row in primary if row.ci_low <= NOT_WORSE]
    why = (
        f"mean difference in recall@10 to {found.reference} (judged-queries budget); significant after Holm on "
        f"{', '.join(better) or 'no domain'}; not worse (ci_low > {NOT_WORSE}) "
        f"{'on every domain' if not worse else 'not shown on ' + ', '.join(worse)}"
    )
    # Suffixes stand in a fixed order: name, _pulls, _true_domain, _rich.
    tail = "" if found.action_set == "alpha" else f"_{found.action_set}"
    pulls = f"{found.reference.removesuffix(tail)}_pulls{tail}"
    if (pulls, RECALL) in found.estimates:
        rival = found.estimates[pulls, RECALL]
        ends = Estimate(one.value - rival.value, one.draws - rival.draws).interval(-1)
        why += f"; to {pulls} {one.value[-1] - rival.value[-1]:+.4f} [{ends[0]:+.4f}, {ends[1]:+.4f}]"
    return measured(
        target, float(change.value[-1]), low, high, verdict(0, True, low, high, strict=True), why,
        float(other.value[-1]),
    )  # fmt: skip


def _cost(target: Target, found: Measured) -> Judged:
    if (BALANCED, COST) not in found.estimates or found.treatment == BALANCED:
        return not_measured(target, f"needs '{BALANCED}' among the references, and another policy than it")
    if unfounded := _unfounded(found, COST):
        return not_measured(target, unfounded)
    change = relative(found.estimates, COST, found.treatment, BALANCED)
    # float32's noise is no saving
    change = Estimate(change.value.round(6), change.draws.round(6))
    low, high = change.interval(-1)
    recall = found.estimates[found.treatment, RECALL].draws - found.estimates[BALANCED, RECALL].draws
    recall_low = float(np.quantile(recall[:, -1], LEVEL / 2))
    says = verdict(target.target, False, low, high)
    if says == "met" and recall_low <= NOT_WORSE:
        says = "inconclusive"
    return measured(
        target, float(change.value[-1]), low, high, says,
        f"cost of retrieval alone, relative to α = 0.5; recall@10 is "
        f"{'not worse' if recall_low > NOT_WORSE else 'not shown to be not worse'} (ci_low {recall_low:+.3f}); "
        f"with each price at half or twice: {min(found.cost_changes):+.1%} to {max(found.cost_changes):+.1%}",
        float(found.estimates[BALANCED, COST].value[-1]),
    )  # fmt: skip


def _convergence(target: Target, found: Measured) -> Judged:
    one = found.convergence
    if one is None:
        return not_measured(target, f"'{found.treatment}' does not learn, nor does another policy of this run")
    if one.horizon < HORIZON or one.seeds < SEEDS:
        given = f"this run has {one.horizon} queries and {one.seeds:,} seeds"
        return not_measured(target, f"needs a horizon of {HORIZON} queries a domain and {SEEDS:,} seeds; {given}")
    beside = ", ".join(f"{name} {share:.2f}" for name, share in one.contrasts.items())
    return measured(
        target, one.share, one.low, one.high, verdict(target.target, True, one.low, one.high),
        f"share of {found.bandit}'s seeds within {EARLY} queries a domain, mean over domains; beside it: {beside}; "
        f"median step {one.median:.0f}",
    )  # fmt: skip
