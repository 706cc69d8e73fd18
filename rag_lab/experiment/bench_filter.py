"""The feedback filter against its peers: 100, 1,000 and a million items, in turn in one process.

Ours is the `jax` filter; peers are the plain `scalar` one and `numpy`, the vectorized one. The floor `copy`
copies every column of the batch once and writes a result's, on one thread: no filter can do with less
traffic. Every result is checked against the scalar reference before its time counts. Beside the cells stand
where our time goes (preparing on the host; the statistics of the groups, medians among them) and the pool's
throughput by number of workers.

Shapes: N items. Units: milliseconds, items a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from pydantic import Field

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment import benchmark
from rag_lab.experiment.benchmark import Cell, Effort
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.kernels import outlier
from rag_lab.l4_feedback import steps, users
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filtered, Settings
from rag_lab.l4_feedback.filters.jitted import Jitted
from rag_lab.l4_feedback.filters.pool import Pool
from rag_lab.l4_feedback.filters.scalar import Scalar
from rag_lab.l4_feedback.filters.vectorized import Vectorized
from rag_lab.l4_feedback.tables import DIFFERENCES

READINGS = 5  # of every answer
NOISE = 0.3  # share of users that are not honest
DOMAINS = 3
START_S = 1.7e9
TOLERANCE = 1e-5  # of a weight, and of the share of items that may lie on a threshold
Positive = Annotated[int, Field(ge=1)]


class BenchFilter(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_filter.yaml."""

    name: str
    question: str
    items: tuple[int, ...]
    workers: tuple[int, ...]
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """It measures programs."""
        return False

    def check(self, lab: Lab) -> None:
        """ConfigError where the filter chosen is not the `jax` one, whose settings all contestants take."""
        self._settings(lab)

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell, then the pool."""
        settings = self._settings(lab)
        facts = {"data": f"readings by simulated users, {NOISE:.0%} of them not honest, seed {lab.seed}"}
        document = benchmark.run(
            lab, self.name.removeprefix("bench_"), self._cells(settings, lab.seed), self.effort, facts
        )
        for row, items in zip(document["cells"], self.items, strict=True):
            if row["ours_ms"] is not None:
                row["items_per_s"] = items / row["ours_ms"] * 1000
                row["parts_ms"] = parts(settings, items, lab.seed, self.effort)
        document["pool"] = scaling(settings, max(self.items), self.workers, lab.seed, self.effort)
        return benchmark.publish(document)

    def _settings(self, lab: Lab) -> Settings:
        filter = wiring.build(lab.config["filter"], "filter")
        if not isinstance(filter, Jitted):
            raise ConfigError(
                f"filter={lab.choices['filter']}: this benchmark measures the jax filter; give filter=jax"
            )
        return filter.settings

    def _cells(self, settings: Settings, seed: int) -> Iterator[Cell]:
        for items in self.items:
            batch, now = example(items, seed)
            scalar = Scalar(settings)
            expected = scalar.weigh(batch, now)
            yield Cell(
                case=f"items_{items}",
                size={"items": items},
                ours=partial(Jitted(settings).weigh, batch, now),
                peers={
                    "scalar": partial(scalar.weigh, batch, now),
                    "numpy": partial(Vectorized(settings).weigh, batch, now),
                },
                floors={"copy": [partial(copy, batch)]},
                check=partial(wrong, expected),
            )


def example(items: int, seed: int) -> tuple[FeedbackBatch, float]:
    """A log of so many readings, a multiple of READINGS, and the time after its last."""
    shown = items // READINGS
    random = np.random.default_rng(seed)
    truth = np.where(random.random(shown) < 0.3, random.random(shown), random.random(shown) < 0.65)
    log = users.simulate(
        seed,
        truth,
        promoted=random.random(shown) < 0.1,
        domain=random.integers(-1, DOMAINS, shown),
        start_s=START_S,
        users=max(items // 10, READINGS),
        noise=NOISE,
        each=READINGS,
    )
    return log.batch, START_S + shown


def wrong(expected: Filtered, found: Filtered) -> str | None:
    """What is wrong with a result, beside the reference's: None if it is right, but for items on a threshold."""
    same = found.reason == expected.reason
    if (~same).mean() > TOLERANCE:
        return f"{(~same).sum()} of {len(same)} reasons differ from the reference's"
    error = float(np.abs(found.weight - expected.weight)[same].max(initial=0))
    return f"a weight differs by {error:.2g} from the reference's" if error > TOLERANCE else None


def copy(batch: FeedbackBatch) -> list[np.ndarray]:
    """The batch's columns copied once, and a result's written."""
    items = len(batch.user)
    result = [np.ones(items, np.float32), np.ones(items, bool), np.ones(items, np.int8)]
    return [*(column.copy() for column in batch), *result]


def parts(settings: Settings, items: int, seed: int, effort: Effort) -> dict[str, float]:
    """Medians of what is part of our time: `prepare` on the host, and `medians` of the groups on the device."""
    batch, now = example(items, seed)
    counts = np.random.default_rng(seed).integers(0, 1000, (DOMAINS + 1, DIFFERENCES)).astype(np.int32)
    spread = jax.jit(jax.vmap(outlier.spread))
    return in_turn(
        {
            "prepare": partial(steps.prepare, batch, now, settings.skew_s),
            "medians": lambda: jax.block_until_ready(spread(counts)),
        },
        effort,
    )


def scaling(settings: Settings, items: int, workers: tuple[int, ...], seed: int, effort: Effort) -> dict[str, Any]:
    """Items a second of the pool with so many workers, in turn with the vectorized and the jitted filter alone."""
    batch, now = example(items, seed)
    pools = {f"pool_{count}": Pool(settings, count) for count in workers}
    try:
        filters: dict[str, Any] = {"vectorized": Vectorized(settings), "jax": Jitted(settings), **pools}
        medians = in_turn({name: partial(each.weigh, batch, now) for name, each in filters.items()}, effort)
    finally:
        for pool in pools.values():
            pool.close()
    return {"items": items, "items_per_s": {name: items / ms * 1000 for name, ms in medians.items()}}


def in_turn(programs: dict[str, Callable[[], Any]], effort: Effort) -> dict[str, float]:
    """The median milliseconds of each program, taken in turn as a cell's are."""
    first, *others = programs
    cell = Cell(
        case="", size={}, ours=programs[first], peers={name: programs[name] for name in others}, floors={},
        check=lambda result: None,
    )  # fmt: skip
    row = benchmark.measure(cell, effort)
    return {first: row["ours_ms"], **row["peers"]}


def build(
    *,
    name: str,
    question: str,
    items: tuple[Annotated[int, Field(ge=READINGS, multiple_of=READINGS, le=4_000_000)], ...],
    workers: tuple[Annotated[int, Field(ge=1, le=8)], ...],
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment: a cell for each number of items.

    workers: the pool's, on the largest number of items; budget_s: measuring time of a cell; rounds: at least
    so many; turn_s: of one program in a round, repeated until it is over; rest_s: before each turn.
    """
    return BenchFilter(name, question, items, workers, Effort(budget_s, rounds, turn_s, rest_s))
