"""The feedback filter's variants side by side: how soon, how many items a second, and whether all decide alike.

Logs are of simulated readers, as in `bench_filter`. All variants run with the chosen filter's settings.

Shapes: B batches, R repeats. Units: milliseconds, items a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment import live
from rag_lab.experiment.bench_filter import example
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import in_turn
from rag_lab.experiment.variants import standing
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filter, Filtered, Settings
from rag_lab.l4_feedback.filters.pool import Pool
from rag_lab.l4_feedback.filters.scalar import Scalar

REFERENCE = "scalar"
WARM_UP = 2  # calls: one compiles, one fills caches
THRESHOLDS = ("min_trust", "sigma_limit", "robust_limit")
NEAR = 1e-5  # targets.md: a statistic relatively so close to its threshold may fall on either side
LOGS = 5  # different ones that repeats take turns with, so that no variant learns one by heart


class Decisions(NamedTuple):
    """Of each batch, the items that are not near a threshold, and those of them decided as by the reference."""

    items: Int[np.ndarray, " B"]
    equal: Int[np.ndarray, " B"]


def settings(lab: Lab) -> Settings:
    """The chosen filter's; ConfigError where it has none."""
    found = getattr(wiring.build(lab.config["filter"], "filter"), "settings", None)
    if not isinstance(found, Settings):
        raise ConfigError(
            f"filter={lab.choices['filter']} judges nothing; give filter={', filter='.join(live.names('filter'))}"
        )
    return found


def build(name: str, lab: Lab) -> Filter:
    """A variant with the chosen filter's settings."""
    own = standing(name, group="filter")
    given = {key: value for key, value in lab.config["filter"].items() if key in own and key != wiring.TARGET}
    built: Filter = wiring.build({**own, **given}, "filter")
    return built


def time_calls(filters: Mapping[str, Filter], items: int, repeats: int, lab: Lab) -> dict[str, Float[np.ndarray, " R"]]:
    """Milliseconds of judging so many items, filters taking turns; warm."""
    logs = [example(items, lab.seed + number) for number in range(min(LOGS, repeats))]

    def weigh(filter: Filter, repeat: int) -> Filtered:
        return filter.weigh(*logs[repeat % len(logs)])

    programs = {name: partial(weigh, filter) for name, filter in filters.items()}
    with lab.progress(f"filter {items:,} items", repeats + WARM_UP, "rounds") as bar:
        in_turn(programs, WARM_UP, bar)
        return in_turn(programs, repeats, bar)


def pools(kernel: Filter, workers: Sequence[int], items: Sequence[int], repeats: int, lab: Lab) -> dict[int, Any]:
    """For each number of items, milliseconds of the kernel (0) and of a pool of so many workers, in turn."""
    made: dict[int, Filter] = {count: Pool(settings(lab), count) for count in workers}
    programs = {str(count): filter for count, filter in {0: kernel, **made}.items()}
    try:
        return {
            count: {int(name): taken for name, taken in time_calls(programs, count, repeats, lab).items()}
            for count in items
        }
    finally:
        for pool in made.values():
            pool.close()


def decisions(filters: Mapping[str, Filter], batches: Mapping[int, int], lab: Lab) -> dict[str, Decisions]:
    """Each variant against the reference. batches: how many of how many items."""
    reference = Scalar(settings(lab))
    rows: dict[str, list[tuple[int, int]]] = {name: [] for name in filters}
    sizes = [items for items, count in batches.items() for _ in range(count)]
    with lab.progress("compare the filters' decisions", len(sizes), "batches") as bar:
        for number, items in enumerate(sizes):
            batch, now = example(items, lab.seed + LOGS + number)
            expected = reference.weigh(batch, now)
            for name, filter in filters.items():
                rows[name].append(_agreement(filter.weigh(batch, now), expected, reference, batch, now))
            bar.advance()
    return {name: Decisions(*np.array(each).T) for name, each in rows.items()}


def _agreement(
    found: Filtered, expected: Filtered, reference: Scalar, batch: FeedbackBatch, now: float
) -> tuple[int, int]:
    """Items that count, and those of them decided alike."""
    differing = found.reason != expected.reason
    if not differing.any():
        return len(differing), len(differing)
    near = _near(expected, reference, batch, now)
    return int((~near).sum()), int((~near & ~differing).sum())


def _near(expected: Filtered, reference: Scalar, batch: FeedbackBatch, now: float) -> Bool[np.ndarray, " N"]:
    """Items that the reference itself decides otherwise when a threshold moves by NEAR of itself."""
    near = np.zeros(len(expected.reason), bool)
    for name in THRESHOLDS:
        for factor in (1 - NEAR, 1 + NEAR):
            moved = reference.settings._replace(**{name: getattr(reference.settings, name) * factor})
            near |= Scalar(moved).weigh(batch, now).reason != expected.reason
    return near
