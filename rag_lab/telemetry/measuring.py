"""The pipeline's two calls, recorded: what each level took, how many queries were asked, what failed.

Decorators, so that the pipeline itself stays wiring. All members of a batch waited for the whole batch, so each counts
with the batch's time. e2e is what a user waits for, from question to answer; what feedback takes afterwards is under
filter and learn.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from rag_lab.telemetry import current, names
from rag_lab.telemetry.recorder import Recorder
from rag_lab.types import Answer, Trace

P = ParamSpec("P")


class Computed(Protocol):
    """Which layers of the cache did not hold what was asked for, so that it was computed."""

    @property
    def embedding(self) -> bool:
        """The query's vector."""
        ...

    @property
    def evidence(self) -> bool:
        """What was searched."""
        ...

    @property
    def answer(self) -> bool:
        """What was written."""
        ...


class Reply(Protocol):
    """An answer that says where its time went, and what was computed for it."""

    @property
    def trace(self) -> Trace:
        """Of the whole batch."""
        ...

    @property
    def computed(self) -> Computed:
        """The rest was remembered."""
        ...

    @property
    def answer(self) -> Answer:
        """With what it took of a model."""
        ...


class Pipeline(Protocol):
    """What is measured; name: the variant under which it is recorded; remembers: whether there is a cache to be hit."""

    name: str
    remembers: bool


Self = TypeVar("Self", bound=Pipeline)
R = TypeVar("R", bound=Reply)
_asked: dict[str, int] = {}  # queries in flight, by variant
_lock = threading.Lock()


def responding(
    respond: Callable[[Self, Sequence[Any]], list[R]],
) -> Callable[[Self, Sequence[Any]], list[R]]:
    """Record the answers that `respond` gives to queries."""

    @wraps(respond)
    def measured(self: Self, queries: Sequence[Any]) -> list[R]:
        recorder = current.recorder()
        if recorder is current.OFF:
            return respond(self, queries)
        with _in_flight(self.name, len(queries)), _errors("respond"):
            replies = respond(self, queries)
        if replies:
            trace = replies[0].trace
            taken_ms = {
                names.L1: trace.l1_ms,
                names.L2: trace.l2_ms,
                names.L3: trace.l3_ms,
                names.L4: trace.l4_ms,
                names.E2E: trace.e2e_ms,
            }
            recorder.latencies(self.name, taken_ms, len(replies))
            recorder.count(names.QUERIES, len(replies), variant=self.name)
            if self.remembers:
                _count_cache(recorder, self.name, replies)
            _count_model(recorder, replies)
        return replies

    return measured


def learning(
    learn: Callable[Concatenate[Self, Sequence[R], P], list[R]],
) -> Callable[Concatenate[Self, Sequence[R], P], list[R]]:
    """Record what `learn` takes for the replies that users spoke of."""

    @wraps(learn)
    def measured(self: Self, replies: Sequence[R], /, *args: P.args, **kwargs: P.kwargs) -> list[R]:
        recorder = current.recorder()
        if recorder is current.OFF:
            return learn(self, replies, *args, **kwargs)
        with _errors("learn"):
            learned = learn(self, replies, *args, **kwargs)
        if learned:
            before, after = replies[0].trace, learned[0].trace
            taken_ms = {names.FILTER: after.filter_ms - before.filter_ms, names.LEARN: after.e2e_ms - before.e2e_ms}
            if taken_ms[names.LEARN] > 0:  # else nobody spoke
                recorder.latencies(self.name, taken_ms, len(learned))
        return learned

    return measured


def _count_cache(recorder: Recorder, variant: str, replies: Sequence[Reply]) -> None:
    """Count what each layer of the cache was asked for, and whether it had it."""
    for layer in names.LAYERS:
        missed = sum(getattr(reply.computed, names.LAYERS[layer]) for reply in replies)
        for outcome, count in ((names.MISS, missed), (names.HIT, len(replies) - missed)):
            if count:
                recorder.count(names.CACHE_REQUESTS, count, variant=variant, layer=layer, outcome=outcome)


def _count_model(recorder: Recorder, replies: Sequence[Reply]) -> None:
    """Count the calls and tokens of answers that were written, not remembered."""
    for reply in replies:
        usage = reply.answer.usage
        if usage is not None and reply.computed.answer:
            recorder.count(names.API_CALLS, usage.calls, what="generator")
            recorder.count(names.TOKENS, usage.tokens_in, what="generator", direction="in")
            recorder.count(names.TOKENS, usage.tokens_out, what="generator", direction="out")


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """Count what is raised within, by its type."""
    try:
        yield
    except Exception as error:
        current.recorder().count(names.ERRORS, where=where, kind=type(error).__name__)
        raise


@contextmanager
def _in_flight(variant: str, queries: int) -> Iterator[None]:
    """Say how many queries wait for their answer, while they do."""

    def change(by: int) -> None:
        with _lock:
            _asked[variant] = _asked.get(variant, 0) + by
            current.recorder().gauge(names.IN_FLIGHT, _asked[variant], variant=variant)

    change(queries)
    try:
        yield
    finally:
        change(-queries)
