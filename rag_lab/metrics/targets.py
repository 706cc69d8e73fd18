"""The roadmap's targets, and how a measured interval becomes a verdict.

A target is met when the whole interval lies past it, missed when the whole interval falls short, and
inconclusive otherwise. What was not measured says why, and never reads 0.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["met", "missed", "inconclusive", "not measured"]
NEEDS_WEEK_1 = "needs the live pipeline: +experiment=week1 measures it"
NEEDS_WEEK_2 = "needs policies: +experiment=week2 measures it"
NEEDS_ROUTER = "needs the Pareto router: +experiment=economy measures it, or +experiment=week2 with router=pareto"
NEEDS_CACHE = "needs a cache: +experiment=week3 measures it"
NEEDS_ANSWERS = "needs a generator; `generator` is none"
NEEDS_END_TO_END = "needs the end-to-end experiment"


class Target(NamedTuple):
    """One target. target: the number to reach, in the metric's unit; at_least: the direction that is good."""

    id: str
    statement: str
    metric: str
    baseline: float | None
    target: float
    at_least: bool
    absent: str


TARGETS = (
    Target("w1.detect_p95", "domain detection of one query within 20 ms p95", "detector/latency_ms_p95", 50, 20, False, NEEDS_WEEK_1),
    Target("w1.detect_batch", "batched detection at least 10 times one at a time", "detector/batch_speedup", 1, 10, True, NEEDS_WEEK_1),
    Target("w1.detect_accuracy", "no accuracy lost by batching", "detector/accuracy_gained", None, 0, True, NEEDS_WEEK_1),
    Target("w1.gpu_util", "GPU utilisation above 70% while detecting", "system/gpu_0_utilization_percentage", None, 70, True, NEEDS_WEEK_1),
    Target("w1.filter_p95", "filtering 100 feedback items within 30 ms p95", "filter/latency_ms_100_p95", 50, 30, False, NEEDS_WEEK_1),
    Target("w1.filter_throughput", "more than 3,000 feedback items a second", "filter/items_per_s", None, 3000, True, NEEDS_WEEK_1),
    Target("w1.filter_1000", "filtering 1,000 items within 500 ms p95", "filter/latency_ms_1000_p95", None, 500, False, NEEDS_WEEK_1),
    Target("w1.filter_workers", "the filter's pool scales to 8 workers", "filter/workers", None, 8, True, NEEDS_WEEK_1),
    Target("w1.filter_accuracy", "the same decisions as the scalar filter", "filter/equal_decisions", None, 1, True, NEEDS_WEEK_1),
    Target("w1.e2e_p95", "end to end within 2 s p95", "latency_ms/e2e_p95", 3000, 2000, False, NEEDS_WEEK_1),
    Target("w2.recall", "adaptive α raises recall@10 by 12% over α = 0.5", "retrieval/recall_at_10", None, 0.12, True, NEEDS_WEEK_2),
    Target("w2.beats_static", "adaptive beats the better tuned static", "retrieval/recall_at_10", None, 0, True, NEEDS_WEEK_2),
    Target("w2.cost", "cost falls by 20% at recall not worse", "cost/usd_per_1k_queries", None, -0.2, False, NEEDS_WEEK_2),
    Target("w2.convergence", "converges within 100 queries a domain (share of seeds)", "bandit/convergence_queries", None, 0.9, True, NEEDS_WEEK_2),
    Target("w2.pareto_exact", "only non-dominated points are returned", "pareto/exact_share", None, 1, True, NEEDS_ROUTER),
    Target("w2.pareto_waste", "no routed action is dominated", "pareto/wasted_share", None, 0, False, NEEDS_ROUTER),
    Target("w3.hit_rate", "more than 60% of repeated queries hit the cache", "cache/evidence/hit_rate", None, 0.6, True, NEEDS_CACHE),
    Target("w3.latency", "cached queries are 30% quicker", "latency_ms/e2e_p95", None, -0.3, False, NEEDS_CACHE),
    Target("w3.cost", "25% fewer paid calls with the cache", "cost/api_calls_per_query", None, -0.25, False, NEEDS_CACHE),
    Target("w3.ttl", "cache entries expire within 1 s of their time", "cache/evidence/late_s_max", None, 1, False, NEEDS_CACHE),
    Target("final.groundedness", "at least 90% of sentences supported, 10 points more", "answer/groundedness", None, 0.9, True, NEEDS_ANSWERS),
    Target("final.recall", "recall@10 raised by 20%", "retrieval/recall_at_10", None, 0.2, True, NEEDS_END_TO_END),
    Target("final.readability", "readability raised by 10%", "answer/readability", None, 0.1, True, NEEDS_ANSWERS),
    Target("final.latency", "end to end within 3 s p95", "latency_ms/e2e_p95", None, 3000, False, NEEDS_END_TO_END),
    Target("final.cost", "cost per 1,000 answers lowered by 25%", "cost/usd_per_1k_queries", None, -0.25, False, NEEDS_ANSWERS),
    Target("final.throughput", "40% more queries a second", "throughput/queries_per_s", None, 0.4, True, NEEDS_END_TO_END),
    Target("final.hit_rate", "more than 60% of requests hit the cache", "cache/evidence/hit_rate", None, 0.6, True, NEEDS_CACHE),
)  # fmt: skip


class Judged(NamedTuple):
    """One row of `targets` in summary.json."""

    id: str
    statement: str
    metric: str
    baseline: float | None
    target: float
    value: float | None
    ci_low: float | None
    ci_high: float | None
    verdict: Verdict
    why: str


def verdict(target: float, at_least: bool, low: float, high: float, *, strict: bool = False) -> Verdict:
    """What an interval says about a target. `strict`: touching the target is falling short."""
    if not at_least:
        target, low, high = -target, -high, -low
    if low > target or (low == target and not strict):
        return "met"
    return "missed" if high < target or (high == target and strict) else "inconclusive"


def not_measured(target: Target, why: str) -> Judged:
    """A target that this run could not measure."""
    return measured(target, None, None, None, "not measured", why)


def measured(
    target: Target,
    value: float | None,
    low: float | None,
    high: float | None,
    verdict: Verdict,
    why: str,
    baseline: float | None = None,
) -> Judged:
    """A target with what was found."""
    return Judged(
        target.id, target.statement, target.metric, target.baseline if baseline is None else baseline,
        target.target, value, low, high, verdict, why,
    )  # fmt: skip
