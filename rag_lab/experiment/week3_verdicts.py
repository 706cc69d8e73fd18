"""What each cache brought, arm by arm, and the verdicts of week 3 from it.

A request hits a layer if its value was not computed. All arms answered the same requests in turn, so that
differences are paired, and resamples draw the same blocks of requests from each.

Shapes: N requests, R resamples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.cache.counters import Counts, Snapshot
from rag_lab.cache.layering import LAYERS, Layering
from rag_lab.economy.prices import Prices
from rag_lab.experiment import answers, spending
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import Played
from rag_lab.experiment.spending import Usage
from rag_lab.experiment.stream import Request
from rag_lab.experiment.week1_verdicts import Measure
from rag_lab.metrics import interval, latency
from rag_lab.metrics.interval import Interval, around

NONE = "none"
OUR_LATENCY_BAR = -0.9  # targets.md
COUNTED = ("errors", "evictions", "corrupt", "expired", "near_hits", "false_hits", "bytes_read", "bytes_written")
LEAST_CALLS = 500  # what targets.md asks of a percentile


class Arm(NamedTuple):
    """One pipeline's requests. hits, repeats: of each layer: whether its value was remembered, and whether it was
    bound to be, for it had been computed within the shortest life that a value is given; equal: the share of answers
    that are those without a cache."""

    hits: Mapping[str, Bool[np.ndarray, " N"]]
    repeats: Mapping[str, Bool[np.ndarray, " N"]]
    e2e_ms: Float[np.ndarray, " N"]
    usage: Usage
    counted: Snapshot
    equal: float

    @staticmethod
    def of(
        lab: Lab,
        name: str,
        played: Played,
        plain: Played,
        counted: Snapshot,
        requests: Sequence[Request],
        rules: Layering,
    ) -> Arm:
        """What this pipeline did, beside the one without a cache."""
        computed = np.array([reply.computed for reply in played.replies])
        hits: dict[str, Bool[np.ndarray, " N"]] = {layer: ~computed[:, column] for column, layer in enumerate(LAYERS)}
        shortest = {layer: (1 - rules.jitter) * getattr(rules.ttl_s, layer) for layer in LAYERS}
        return Arm(
            hits=hits,
            repeats={layer: due(requests, hits[layer], shortest[layer]) for layer in LAYERS},
            e2e_ms=played.traces_ms["e2e"],
            usage=spending.usage(lab, played.replies),
            counted=counted,
            equal=answers.same(played.replies, plain.replies),
        )

    def metrics(self, drawn: Int[np.ndarray, "R N"], prices: Prices) -> dict[str, float]:
        """The contract's names."""
        usd = 1000 * self.usage.usd(prices)
        out = {"equal_answers": self.equal}
        out |= interval.metrics("cost/usd_per_1k_queries", interval.mean(usd, drawn))
        out |= interval.metrics("cost/api_calls_per_query", interval.mean(self.usage.calls, drawn))
        for layer, counts in self.counted.layers.items():
            out |= interval.metrics(f"cache/{layer}/hit_rate", interval.mean(self.hits[layer].astype(float), drawn))
            if self.repeats[layer].any():
                out[f"cache/{layer}/repeat_hit_rate"] = float(self.hits[layer][self.repeats[layer]].mean())
            out |= _reads(f"cache/{layer}/read_ms", counts)
            for number in COUNTED:
                out[f"cache/{layer}/{number}"] = float(getattr(counts, number))
        return out | (_reads("latency_ms/cache", self.counted.together) if self.counted.layers else {})


def _reads(name: str, counts: Counts) -> dict[str, float]:
    """What looking values up took, as upper ends of the histogram's buckets; the last has none."""
    found = {share: counts.latency_ms(quantile) for share, quantile in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}
    return {f"{name}_{share}": ms for share, ms in found.items() if ms is not None and np.isfinite(ms)}


def due(requests: Sequence[Request], hits: Bool[np.ndarray, " N"], life_s: float) -> Bool[np.ndarray, " N"]:
    """Which requests ask for what was computed less than `life_s` before."""
    computed_s: dict[str, float] = {}
    found = np.zeros(len(requests), bool)
    for number, request in enumerate(requests):
        found[number] = request.time_s - computed_s.get(request.query.id, -np.inf) < life_s
        if not hits[number]:
            computed_s[request.query.id] = request.time_s
    return found


def measures(
    arms: Mapping[str, Arm],
    treatment: str,
    late_s: Mapping[str, Float[np.ndarray, " values"]],
    drawn: Int[np.ndarray, "R N"],
    lab: Lab,
) -> dict[str, Measure | str]:
    """What decides each of the targets that this run measures."""
    one, none = arms[treatment], arms[NONE]
    return {
        "w3.hit_rate": _hit_rate(one, drawn),
        "w3.latency": _latency(one, none, lab.seed, len(drawn)),
        "w3.cost": _cost(one, none, drawn, lab.prices),
        "w3.ttl": _ttl(late_s, lab.seed, len(drawn)),
        "final.hit_rate": "needs phase27's stream; +experiment=week3 has its own",
    }


def _hit_rate(one: Arm, drawn: Int[np.ndarray, "R N"]) -> Measure:
    found = interval.mean(one.hits["evidence"].astype(float), drawn)
    each = ", ".join(f"{layer} {one.hits[layer].mean():.1%}" for layer in LAYERS)
    bound = ", ".join(
        f"{layer} {one.hits[layer][one.repeats[layer]].sum():,} of {one.repeats[layer].sum():,}" for layer in LAYERS
    )
    return Measure(
        found,
        f"of all {len(one.e2e_ms):,} requests, evidence layer; {each}; of exact repeats within their life: {bound}",
    )


def _latency(one: Arm, none: Arm, seed: int, resamples: int) -> Measure | str:
    """The same requests in both arms: those for which nothing was computed."""
    cached = np.logical_and.reduce([one.hits[layer] for layer in LAYERS])
    if cached.sum() < LEAST_CALLS:
        return f"needs {LEAST_CALLS} requests found in every layer; this run has {cached.sum()}"
    drawn = latency.places(int(cached.sum()), resamples, seed)
    with_cache, without = (latency.percentiles(arm.e2e_ms[cached], drawn) for arm in (one, none))
    change = latency.change(with_cache, without)
    everything = latency.places(len(cached), resamples, seed)
    overall = latency.change(*(latency.percentiles(arm.e2e_ms, everything) for arm in (one, none)))
    why = (
        f"p95 of the {cached.sum():,} requests found in every layer, {_times(with_cache)} ms (p50, p95) against "
        f"{_times(without)} ms for the same requests without a cache; p50 {_span(change['p50'])}; of all requests: "
        f"p50 {_span(overall['p50'])}, p95 {_span(overall['p95'])}; our bar {OUR_LATENCY_BAR:+.0%}".replace("-", "−")
    )
    return Measure(change["p95"], why)


def _cost(one: Arm, none: Arm, drawn: Int[np.ndarray, "R N"], prices: Prices) -> Measure:
    usd = _relative(one.usage.usd(prices), none.usage.usd(prices), drawn)
    scaled = [_relative(one.usage.usd(each), none.usage.usd(each), drawn[:1]).value for each in prices.scaled()]
    why = (
        f"paid calls per query, {one.usage.calls.mean():.3g} against {none.usage.calls.mean():.3g}; USD per 1,000 "
        f"queries {_span(usd)}, and from {min(scaled):+.1%} to {max(scaled):+.1%} with each price of retrieval at half "
        "and at twice"
    ).replace("-", "−")
    return Measure(_relative(one.usage.calls, none.usage.calls, drawn), why)


def _ttl(late_s: Mapping[str, Float[np.ndarray, " values"]], seed: int, resamples: int) -> Measure:
    """The largest distance between a value's end and its being gone, resampled by value."""
    worst = max(late_s, key=lambda layer: float(np.abs(late_s[layer]).max()))
    off_s = np.abs(late_s[worst])
    drawn = interval.resampled(len(off_s), seed=seed, resamples=resamples)
    each = ", ".join(f"{layer} [{found.min():+.3f}, {found.max():+.3f}] s" for layer, found in late_s.items())
    why = f"largest distance of a value's end from its time, seen on the store; gone so long after it: {each}"
    return Measure(around(float(off_s.max()), off_s[drawn].max(axis=1)), why.replace("-", "−"))


def _relative(one: Float[np.ndarray, " N"], other: Float[np.ndarray, " N"], drawn: Int[np.ndarray, "R N"]) -> Interval:
    """Relative change of the mean."""
    draws = one[drawn].mean(axis=1) / other[drawn].mean(axis=1) - 1
    return around(float(one.mean() / other.mean() - 1), draws)


def headline(variants: Mapping[str, Mapping[str, float]], treatment: str) -> str:
    """What a reader wants to know first, from the run's own numbers."""
    one, none = variants[treatment], variants[NONE]
    return (
        f"With cache={treatment}, {one['cache/evidence/hit_rate']:.0%} of requests find their evidence and "
        f"{one['cache/explanations/hit_rate']:.0%} their answer. Half of all answers take at most "
        f"{one['latency_ms/e2e_p50']:.3g} ms instead of {none['latency_ms/e2e_p50']:.3g}, 1,000 queries cost "
        f"{one['cost/usd_per_1k_queries']:.3g} USD instead of {none['cost/usd_per_1k_queries']:.3g}, and "
        f"{one['equal_answers']:.1%} of answers are those without a cache."
    )


def notes(played: Mapping[str, Played], counted: Mapping[str, Snapshot], requests: int) -> list[str]:
    """What a reader must know beside the numbers."""
    warm = ", ".join(f"{name} {one.warm_up_s:.1f} s" for name, one in played.items())
    told = [note for snapshot in counted.values() for note in snapshot.notes]
    return [
        f"{requests:,} requests of the frozen stream, each answered by every pipeline in turn. Warm: every query was "
        f"asked once before and then forgotten, compilation included, which took {warm}.",
        "Values age by the stream's virtual clock, one request a second.",
        *told,
    ]


def _times(draws: Any) -> str:
    found = draws.intervals()
    return f"{found['p50'].value:.3g}, {found['p95'].value:.3g}"


def _span(change: Interval) -> str:
    return f"{change.value:+.0%} [{change.low:+.0%}, {change.high:+.0%}]"
