"""The filter in several processes over shared memory: each does `rag_lab.l4_feedback.steps` on its part of
the items.

Where a step needs a table of all items, the parent adds up the workers' tables in between. Processes are
started with the first batch and stay until `close`, or until the filter is collected or the interpreter ends.
A batch that loses a worker is done again with new ones, once. If the parent is killed, workers see their
connection end, and Python's resource tracker unlinks the shared memory. One batch at a time. See
`rag_lab.l4_feedback.feedback` for the model.
"""

from __future__ import annotations

import multiprocessing
import threading
import traceback
import weakref
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from rag_lab.errors import RagLabError
from rag_lab.l4_feedback import steps, tables, worker
from rag_lab.l4_feedback.arena import Arena, Layout
from rag_lab.l4_feedback.feedback import (
    AttentionTime,
    Depth,
    FeedbackBatch,
    Filtered,
    HalfLife,
    Limit,
    PriorItems,
    Settings,
    Severity,
    Share,
    Skew,
    as_filtered,
    checked,
)

LEAST_ITEMS, LEAST_ROWS = 1024, 1024
PATIENCE_S = 5.0  # that a worker has to end by itself

COLUMNS = dict(
    zip(
        (*FeedbackBatch._fields, *steps.Desk._fields),
        ("i4", "i4", "i4", "f4", "f8", "f4", "i4", "f4", "u4", "i2", "i2", "i2", "i4", "?", "?", "f4", "i1"),
        strict=True,
    )
)


class _Lost(Exception):
    """A worker ended without being told to."""


class _Crew:
    """The processes and their shared memory."""

    def __init__(self, workers: int, settings: Settings) -> None:
        # Not fork: the parent may run threads (JAX does), whose locks a forked child would inherit held.
        context = multiprocessing.get_context("spawn")
        self.arenas: dict[str, Arena] = {}
        self.members = []
        for number in range(workers):
            ours, theirs = context.Pipe()
            given = (theirs, number, workers, settings)
            process = context.Process(target=worker.serve, args=given, name=f"filter-{number}", daemon=True)
            process.start()
            theirs.close()
            self.members.append((process, ours))

    def do(self, step: str, *given: Any) -> list[Any]:
        """Let all workers do a step; their results. _Lost where one is gone, RagLabError where one failed."""
        try:
            for _, connection in self.members:
                connection.send((step, *given))
            answers = [connection.recv() for _, connection in self.members]
        except (EOFError, OSError) as error:
            raise _Lost from error
        for said, result in answers:
            if said == "failed":
                raise RagLabError(f"a filter worker failed in '{step}': {result}")
        return [result for _, result in answers]

    def share(self, what: str, items: int, fields: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
        """Arrays that all see: those of before where they are the same, else new ones."""
        arena = self.arenas.get(what)
        if arena is None or arena.layout.fields != fields:
            if arena is not None:
                self.arenas.pop(what).close()
            arena = self.arenas[what] = Arena(Layout("", fields), make=True)
        self.do("open", what, arena.layout, items)
        return arena.arrays

    def close(self) -> None:
        """End the processes and give the memory back."""
        for _, connection in self.members:
            connection.close()
        for process, _ in self.members:
            process.join(PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self.members = []
        for arena in self.arenas.values():
            arena.close()
        self.arenas = {}


class Pool:
    """The filter."""

    def __init__(self, settings: Settings, workers: int) -> None:
        """Nothing is started yet."""
        self.settings, self.workers = settings, workers
        self._crew: _Crew | None = None
        self._end: weakref.finalize[..., Any] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        """Judge a batch; see `feedback.Filter`. RagLabError where workers die twice, or the pool is closed."""
        batch = checked(batch, now)
        with self._lock:
            if self._closed:
                raise RagLabError("the filter's pool is closed; build another")
            for _ in range(2):
                try:
                    return self._weigh(self._start(), batch, now)
                except BaseException as error:
                    traceback.clear_frames(error.__traceback__)  # they hold arrays in the memory to be given back
                    self._stop()  # whatever happened, workers may be in the middle of a step
                    if not isinstance(error, _Lost):
                        raise
        raise RagLabError("filter workers died twice over one batch; is there enough memory? use filter=vectorized")

    def close(self) -> None:
        """End the processes and give the memory back; a second time does nothing."""
        with self._lock:
            self._closed = True
            self._stop()

    def _start(self) -> _Crew:
        if self._crew is None:
            self._crew = _Crew(self.workers, self.settings)
            self._end = weakref.finalize(self, self._crew.close)
        return self._crew

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._crew = self._end = None

    def _weigh(self, crew: _Crew, batch: FeedbackBatch, now: float) -> Filtered:
        count = len(batch.user)
        length = _bucket(count, LEAST_ITEMS)
        columns = crew.share("columns", count, {name: (kind, (length,)) for name, kind in COLUMNS.items()})
        for name, values in zip(FeedbackBatch._fields, batch, strict=True):
            columns[name][:count] = values
        crew.do("screen", now)
        crew.do("twins")

        shared = FeedbackBatch(*(columns[name][:count] for name in FeedbackBatch._fields))
        ids, sizes = steps.numbered(shared)
        shared.user[:], shared.query[:] = ids.user, ids.query
        users, queries = (_bucket(size, LEAST_ROWS) for size in (sizes.users, sizes.queries))
        rows = {
            "by_query": ("f8", (self.workers, queries)),
            "by_user": ("f8", (self.workers, users)),
            "packed": ("f8", (queries,)),
            "reliable": ("i2", (users,)),
        }
        table = crew.share("tables", count, rows)
        crew.do("by_query")
        table["packed"][:] = table["by_query"].sum(axis=0)
        table["reliable"][:] = first = self._reliability(crew, table, "judged", None)
        crew.do("trust")
        crew.do("distrusted")
        table["packed"][:] -= table["by_query"].sum(axis=0)
        table["reliable"][:] = self._reliability(crew, table, "trusted", first)
        crew.do("trust")
        differences = sum(crew.do("differ", sizes.groups))
        crew.do("decide", tables.outliers(differences, self.settings))
        return as_filtered(columns["weight"][:count].copy(), columns["reason"][:count].copy())

    def _reliability(
        self, crew: _Crew, table: dict[str, np.ndarray], counted: str, before: np.ndarray | None
    ) -> np.ndarray:
        """Each user's, from a comparison with the others among the `counted`."""
        crew.do("compare", counted)
        crew.do("by_user")
        return tables.reliability(table["by_user"].sum(axis=0), before, self.settings)


def _bucket(size: int, least: int) -> int:
    """The smallest of least, 2 · least, 4 · least … that is not below `size`."""
    while least < size:
        least *= 2
    return least


def build(
    *,
    half_life_days: HalfLife,
    skew_s: Skew,
    attention_s: AttentionTime,
    severity: Severity,
    depth: Depth,
    prior_reliability: Share,
    prior_items: PriorItems,
    population_items: PriorItems,
    min_trust: Share,
    sigma_limit: Limit,
    robust_limit: Limit,
    workers: Annotated[int, Field(ge=1, le=8)],
) -> Pool:
    """The filter; `feedback` says what each setting does. workers: processes, started with the first batch."""
    return Pool(
        Settings(
            half_life_days, skew_s, attention_s, severity, depth, prior_reliability, prior_items,
            population_items, min_trust, sigma_limit, robust_limit,
        ),
        workers,
    )  # fmt: skip
