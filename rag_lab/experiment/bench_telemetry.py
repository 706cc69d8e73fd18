"""What measuring costs: one latency, one count, everything about one answer.

The peer is prometheus-client, whose histogram counts into the same bounds; the floor is the same loop with a recorder
that is off. Every result is checked to hold as many records as were made before its time counts. Times are of one
record (`latency`, `count`) or of one answer with all of its records (`answer`).

Units: milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from rag_lab.experiment import benchmark
from rag_lab.experiment.benchmark import OURS, Cell, Effort
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.pipeline import Computed
from rag_lab.telemetry import current, measuring
from rag_lab.telemetry.exporter import BOUNDS_MS
from rag_lab.telemetry.recorder import Off, Recorder, Recording
from rag_lab.types import Answer, Trace

RELATIVE_ERROR, LABEL_SETS = 0.005, 50  # as conf/telemetry/local.yaml
MEDIAN_MS, SPREAD = 5.0, 1.0  # of the log-normal latencies that are recorded
PEER, FLOOR = "prometheus", "off"
Positive = Annotated[int, Field(ge=1)]


class Answered(NamedTuple):
    """An answer that took no work."""

    trace: Trace
    computed: Computed = Computed(True, True, True)
    answer: Answer = Answer("", ())


class Idle:
    """A pipeline that answers at once: what is left is the cost of recording it."""

    name, remembers = "idle", True

    def __init__(self, taken_ms: Sequence[float]) -> None:
        self._replies = [Answered(Trace(ms, ms, ms, ms, ms, ms)) for ms in taken_ms]

    @measuring.responding
    def respond(self, queries: Sequence[int]) -> list[Answered]:
        """The reply of that number."""
        return [self._replies[queries[0]]]


class BenchTelemetry(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_telemetry.yaml."""

    name: str
    question: str
    records: int
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """It measures programs."""
        return False

    def check(self, lab: Lab) -> None:
        """Nothing can be wrong."""

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell."""
        facts = {"data": f"log-normal latencies, median {MEDIAN_MS:g} ms, seed {lab.seed}"}
        cells = self._cells(np.random.default_rng(lab.seed))
        return benchmark.publish(benchmark.run(lab, self.name.removeprefix("bench_"), cells, self.effort, facts))

    def _cells(self, random: np.random.Generator) -> Iterator[Cell]:
        taken_ms: list[float] = (MEDIAN_MS * np.exp(SPREAD * random.standard_normal(self.records))).tolist()
        idle, asked = Idle(taken_ms), [[number] for number in range(self.records)]

        def latency(recorder: Recorder) -> None:
            for ms in taken_ms:
                recorder.latencies("live", {"e2e": ms})

        def count(recorder: Recorder) -> None:
            for _ in taken_ms:
                recorder.count("queries", variant="live")

        def answer(recorder: Recorder) -> None:
            with current.use(recorder):
                for queries in asked:
                    idle.respond(queries)

        peers = {"latency": by_histogram(taken_ms), "count": by_counter(self.records)}
        for case, work in (("latency", latency), ("count", count), ("answer", answer)):
            names = [OURS, *([PEER] if case in peers else [])]
            yield Cell(
                case=case,
                size={"records": self.records},
                ours=recorded(work, case),
                peers={PEER: peers[case]} if case in peers else {},
                floors={FLOOR: [silent(work)]},
                check=lambda made: None if made == self.records else f"{made} records instead of {self.records}",
                units=dict.fromkeys([*names, f"{FLOOR} 0"], float(self.records)),
            )


def recorded(work: Callable[[Recorder], None], case: str) -> Callable[[], float]:
    """The program that does the work with a recorder of its own and says how many records it made."""
    recording = Recording(RELATIVE_ERROR, LABEL_SETS)

    def program() -> float:
        before = made(recording, case)
        work(recording)
        return made(recording, case) - before

    return program


def made(recording: Recording, case: str) -> float:
    """How many latencies, or counts, are in the recording."""
    found = recording.snapshot()
    if case == "count":
        return sum(found.counters.values())
    return sum(one.count for (_, level), one in found.latencies.items() if level == "e2e")


def silent(work: Callable[[Recorder], None]) -> Callable[[], None]:
    """The program that does the work with a recorder that is off."""
    off: Off = current.OFF
    return lambda: work(off)


def by_histogram(taken_ms: Sequence[float]) -> Callable[[], float]:
    """The peer's histogram with as many bounds."""
    from prometheus_client import CollectorRegistry, Histogram

    histogram = Histogram("e2e_ms", "Latency.", ["variant"], registry=CollectorRegistry(), buckets=BOUNDS_MS)

    def program() -> float:
        for ms in taken_ms:
            histogram.labels("live").observe(ms)
        return len(taken_ms)

    return program


def by_counter(records: int) -> Callable[[], float]:
    """The peer's counter."""
    from prometheus_client import CollectorRegistry, Counter

    counter = Counter("queries", "Queries.", ["variant"], registry=CollectorRegistry())

    def program() -> float:
        for _ in range(records):
            counter.labels("live").inc()
        return records

    return program


def build(
    *,
    name: Annotated[str, Field(pattern=r"^bench_[a-z0-9_]+$")],
    question: str,
    records: Positive,
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment.

    records: in one call of a program; budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one
    program in a round, repeated until it is over; rest_s: before each turn.
    """
    return BenchTelemetry(name, question, records, Effort(budget_s, rounds, turn_s, rest_s))
