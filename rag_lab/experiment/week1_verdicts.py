"""The verdicts of week 1, each from the interval of what its target names.

A latency has two: the roadmap's absolute one, which decides the row, and its ratio against the frozen baseline of
the same run, which stands in `why`. The ratio asked is the roadmap's own: 50 → 20 ms is −60%.

Shapes: N samples, R resamples, W numbers of workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.experiment.detectors import Paired
from rag_lab.experiment.filtering import Decisions
from rag_lab.metrics import interval
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.targets import TARGETS, Judged, Target, measured, not_measured, verdict

LEAST_CALLS = 500  # what targets.md asks of a percentile
BATCH = 10  # the size that the roadmap names
THROUGHPUT_ITEMS = (1000, 1_000_000)
WORKERS = (1, 2, 4, 8)
BARS = {  # targets.md, "our bar", in the target's unit
    "w1.detect_p95": 10.0,
    "w1.gpu_util": 85.0,
    "w1.filter_p95": 0.5,
    "w1.filter_throughput": 20e6,
    "w1.filter_1000": 1.0,
    "w1.e2e_p95": 200.0,
}


class Measure(NamedTuple):
    """What decides a row, and what must be known beside it."""

    found: Interval
    why: str


class Timed(NamedTuple):
    """A percentile of the treatment and of the baseline, which took turns, in ms; and its relative change."""

    treatment: Interval
    baseline: Interval
    change: Interval
    calls: int


def judge(found: Mapping[str, Measure | str]) -> list[Judged]:
    """Every target of the roadmap: judged where it was measured, else with the reason, which stands instead."""
    rows = []
    for target in TARGETS:
        one = found.get(target.id, target.absent)
        if isinstance(one, str):
            rows.append(not_measured(target, one))
        else:
            said = verdict(target.target, target.at_least, one.found.low, one.found.high)
            rows.append(measured(target, *one.found, said, one.why + _bar(target, one.found)))
    return rows


def latency(target_id: str, timed: Timed, what: str) -> Measure | str:
    """A p95, with its ratio. what: the calls, in words."""
    if timed.calls < LEAST_CALLS:
        return f"needs {LEAST_CALLS} {what}; this run has {timed.calls}"
    target = _target(target_id)
    why = (
        f"p95 of {timed.calls:,} {what}; {_span(timed.change)} against the frozen baseline's "
        f"{timed.baseline.value:.3g} ms in the same run"
    )
    if target.baseline is not None:
        asked = target.target / target.baseline - 1
        why += f", asked {_percent(asked)}: {verdict(asked, False, timed.change.low, timed.change.high)}"
    if timed.baseline.high <= target.target:
        why += "; met by the baseline"
    return Measure(timed.treatment, why)


def batching(best: int, speedups: Mapping[int, Interval], at_best: Interval) -> Measure | str:
    """The speed-up at the best batch, and at BATCH. at_best: from rounds that did not choose it."""
    if BATCH not in speedups:
        return f"needs batches of {BATCH}; this run has {', '.join(map(str, speedups))}"
    at = speedups[BATCH]
    said = verdict(_target("w1.detect_batch").target, True, at.low, at.high)
    why = f"queries/s in batches of {best}, the best of {', '.join(map(str, speedups))}, over one at a time"
    why += f"; in batches of {BATCH}: {at.value:.2f} [{at.low:.2f}, {at.high:.2f}], {said}"
    return Measure(at_best, why)


def accuracy(found: Paired, draws: Float[np.ndarray, " R"]) -> Measure:
    """The accuracy gained by batching. draws: resamples of its mean."""
    queries = len(found.gain)
    equal = f"{queries - found.differing:,} of {queries:,} labels are equal"
    why = f"accuracy gained, paired on the test queries; {equal}"
    if found.differing:
        why += f", and {found.tied} of the {found.differing} others are at a tie of scores, which counts as equal"
    return Measure(interval.around(float(found.gain.mean()), draws), why)


def gpu(used_percent: Float[np.ndarray, " N"], absent: str | None, seed: int, resamples: int) -> Measure | str:
    """Utilisation from NVML's samples while detecting. absent: why there is none."""
    if not len(used_percent):
        return absent or "NVML gave no sample in the time"
    found = interval.mean(used_percent, interval.resampled(len(used_percent), seed=seed, resamples=resamples))
    return Measure(found, f"mean of {len(used_percent)} samples by NVML while detecting in batches")


def throughput(rates: Mapping[int, Interval]) -> Measure | str:
    """Items a second, by number of items: the least decides."""
    if missing := [items for items in THROUGHPUT_ITEMS if items not in rates]:
        return f"needs {missing[0]:,} items at once; this run has {', '.join(f'{items:,}' for items in rates)}"
    each = "; ".join(
        f"{one.value:,.0f} [{one.low:,.0f}, {one.high:,.0f}] at {items:,} items" for items, one in rates.items()
    )
    return Measure(min(rates.values(), key=lambda one: one.value), f"the least of {each}")


def workers(taken_ms: Mapping[int, Mapping[int, Float[np.ndarray, " N"]]], seed: int, resamples: int) -> Measure | str:
    """Up to how many workers each step raises the pool's throughput, at the most items.

    taken_ms: by number of items, rounds by number of workers; 0 is the kernel alone.
    """
    items = max(taken_ms)
    pools = {count: taken for count, taken in sorted(taken_ms[items].items()) if count}
    if not set(WORKERS) <= set(pools):
        return f"needs {', '.join(map(str, WORKERS))} workers; this run has {', '.join(map(str, pools))}"
    rounds = np.stack(list(pools.values()))
    drawn = interval.resampled(rounds.shape[1], seed=seed, resamples=resamples)
    counts = np.array(list(pools))
    reached = counts[_rising(np.median(rounds[:, drawn], axis=2).T)]
    value = float(counts[_rising(np.median(rounds, axis=1)[None])][0])
    rates = ", ".join(f"{1000 * items / np.median(taken):,.0f} by {count}" for count, taken in pools.items())
    return Measure(
        interval.around(value, reached.astype(float)),
        f"workers up to which each step raises throughput; items/s at {items:,} items: {rates}; {overtaking(taken_ms)}",
    )


def overtaking(taken_ms: Mapping[int, Mapping[int, Float[np.ndarray, " N"]]]) -> str:
    """From how many items on the kernel beats a pool of any number of workers, in words; as for `workers`."""
    sizes = sorted(taken_ms)
    behind = [
        items
        for items in sizes
        if np.median(taken_ms[items][0]) >= min(np.median(each) for count, each in taken_ms[items].items() if count)
    ]
    if not behind:
        return f"the kernel beats any pool at every size measured, {sizes[0]:,} to {sizes[-1]:,} items"
    if behind[-1] == sizes[-1]:
        return f"the kernel does not beat every pool at {sizes[-1]:,} items"
    return f"the kernel beats any pool from {sizes[sizes.index(behind[-1]) + 1]:,} items on"


def decisions(found: Mapping[str, Decisions], chosen: str, seed: int, resamples: int) -> Measure:
    """The share of items that the chosen filter decides as the reference does, resampled by batch."""
    own = found[chosen]
    drawn = interval.resampled(len(own.items), seed=seed, resamples=resamples)
    shares = own.equal[drawn].sum(axis=1) / own.items[drawn].sum(axis=1)
    each = ", ".join(f"{name} {one.equal.sum():,} of {one.items.sum():,}" for name, one in found.items())
    why = (
        f"items in {len(own.items):,} batches decided as the scalar filter does, those within one part in 10⁵ of "
        f"a threshold apart: {each}"
    )
    return Measure(interval.around(float(own.equal.sum() / own.items.sum()), shares), why)


def _rising(medians_ms: Float[np.ndarray, "R W"]) -> Int[np.ndarray, " R"]:
    """The last place up to which times fall step by step."""
    return np.cumprod(np.diff(medians_ms, axis=1) < 0, axis=1).sum(axis=1)


def _bar(target: Target, found: Interval) -> str:
    if target.id not in BARS:
        return ""
    bar = BARS[target.id]
    return f"; our bar {bar:,.10g}: {verdict(bar, target.at_least, found.low, found.high)}"


def _target(target_id: str) -> Target:
    return next(target for target in TARGETS if target.id == target_id)


def _span(change: Interval) -> str:
    return f"{_percent(change.value)} [{_percent(change.low)}, {_percent(change.high)}]"


def _percent(share: float) -> str:
    return f"{share:+.0%}".replace("-", "−")
