"""Measuring what takes turns: programs call by call, and pipelines answer by answer (A B A B), in one process.

Warm: everything has run once before it is measured, and what that took is stated apart. Garbage is collected
before, and as it comes while measuring: users would wait for it too.

Shapes: N answers, or repeats. Units: milliseconds, seconds.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.experiment.readers import Readers
from rag_lab.experiment.stream import Request
from rag_lab.metrics import latency
from rag_lab.metrics.latency import Draws
from rag_lab.pipeline import Pipeline, Reply
from rag_lab.telemetry.current import unmeasured
from rag_lab.types import Progress, Trace

STAGES = tuple(name.removesuffix("_ms") for name in Trace._fields)


class Played(NamedTuple):
    """What one pipeline answered, request by request, and how long everything took before it was warm."""

    replies: list[Reply]
    warm_up_s: float

    @property
    def traces_ms(self) -> dict[str, Float[np.ndarray, " N"]]:
        """Each stage's milliseconds, answer by answer."""
        table = np.array([reply.trace for reply in self.replies])
        return {stage: table[:, column] for column, stage in enumerate(STAGES)}

    def profile(self, drawn: Int[np.ndarray, "R N"]) -> dict[str, Draws]:
        """Each stage's percentiles; a stage in which nothing was ever done has none."""
        return {stage: latency.percentiles(taken, drawn) for stage, taken in self.traces_ms.items() if taken.any()}


def play(
    pipelines: Mapping[str, Pipeline],
    requests: Sequence[Request],
    readers: Callable[[], Readers],
    bar: Progress,
) -> dict[str, Played]:
    """Every request answered and learned from by each pipeline in turn; `bar` counts 2 × requests.

    Each pipeline's readers are its own, made by `readers`, so equal answers are read alike.
    """
    distinct = {request.query.id: request for request in requests}
    warm_up_s = {}
    for name, pipeline in pipelines.items():
        started, audience = time.perf_counter(), readers()
        with unmeasured():
            for request in distinct.values():
                _serve(pipeline, audience, request)
        pipeline.forget()
        warm_up_s[name] = time.perf_counter() - started
    bar.advance(len(requests))

    gc.collect()
    audiences = {name: readers() for name in pipelines}
    replies: dict[str, list[Reply]] = {name: [] for name in pipelines}
    for request in requests:
        for name, pipeline in pipelines.items():
            replies[name].append(_serve(pipeline, audiences[name], request))
        bar.advance()
    return {name: Played(replies[name], warm_up_s[name]) for name in pipelines}


def _serve(pipeline: Pipeline, readers: Readers, request: Request) -> Reply:
    """One query, one answer, what its readers say of it, and what is learned from that."""
    replies = pipeline.respond([request.query])
    return pipeline.learn(replies, readers.hear(replies, request.time_s), request.time_s)[0]


def in_turn(
    programs: Mapping[str, Callable[[int], Any]], repeats: int, bar: Progress
) -> dict[str, Float[np.ndarray, " N"]]:
    """Milliseconds of each program's calls, which are given the number of the repeat, from 0.

    Repeats are in turn: A B C, A B C. Nothing is run beforehand.
    """
    taken = {name: np.empty(repeats) for name in programs}
    gc.collect()
    for repeat in range(repeats):
        for name, program in programs.items():
            started = time.perf_counter()
            program(repeat)
            taken[name][repeat] = 1000 * (time.perf_counter() - started)
        bar.advance()
    return taken
