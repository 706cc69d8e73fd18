"""One process of `filters.pool`: it does the steps that it is told on its part of the items, until it is told
to stop.

Everything large lies in shared memory: the batch's columns, the desk, the tables handed out, and a row for
each worker of each table that is handed back.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from rag_lab.l4_feedback import steps
from rag_lab.l4_feedback.arena import Arena, Layout
from rag_lab.l4_feedback.feedback import FeedbackBatch, Settings


class Bench(NamedTuple):
    """What a worker works on: its number out of how many, the items' arrays and the tables'."""

    number: int
    workers: int
    settings: Settings
    items: int
    columns: dict[str, np.ndarray]
    tables: dict[str, np.ndarray]

    @property
    def part(self) -> slice:
        """The worker's items."""
        return slice(*(self.items * number // self.workers for number in (self.number, self.number + 1)))

    @property
    def batch(self) -> FeedbackBatch:
        """The batch's columns."""
        return FeedbackBatch(*(self.columns[name][: self.items] for name in FeedbackBatch._fields))

    @property
    def desk(self) -> steps.Desk:
        """The desk's columns."""
        return steps.Desk(*(self.columns[name][: self.items] for name in steps.Desk._fields))

    @property
    def ids(self) -> steps.Ids:
        """Users and queries as the batch has them, which is numbered by now."""
        return steps.Ids(self.columns["user"][: self.items], self.columns["query"][: self.items])


def screen(bench: Bench, now: float) -> None:
    """The items' validity; the shared copy of the batch is made neutral in place."""
    if not steps.screen(bench.batch, now, bench.settings.skew_s, bench.desk, bench.part):
        steps.neutralise(bench.batch, bench.desk, bench.part)
    steps.read(bench.batch, bench.desk, bench.part)
    steps.scramble(bench.batch, bench.desk, bench.part)


def twins(bench: Bench) -> None:
    """Duplicates among the items whose hash falls to this worker, wherever they are."""
    mine = bench.desk.hashed % np.uint32(bench.workers) == bench.number
    steps.mark_twins(bench.batch, bench.desk, np.flatnonzero(mine))


def by_query(bench: Bench) -> None:
    """Count and sum of each query."""
    row = bench.tables["by_query"][bench.number]
    row[:] = steps.by_query(bench.ids, bench.desk, bench.part, len(row))


def compare(bench: Bench, counted: str) -> None:
    """The means of others among the `counted`: of all judged items, or of trusted ones."""
    steps.compare(bench.ids, bench.desk, bench.part, bench.tables["packed"], bench.columns[counted][: bench.items])


def by_user(bench: Bench) -> None:
    """Count and disagreement of each user."""
    row = bench.tables["by_user"][bench.number]
    row[:] = steps.by_user(bench.ids, bench.desk, bench.part, len(row))


def trust(bench: Bench) -> None:
    """Who is trusted."""
    steps.trust(bench.ids, bench.desk, bench.part, bench.tables["reliable"], bench.settings.trusted)


def distrusted(bench: Bench) -> None:
    """What of each query's count and sum is not trusted."""
    row = bench.tables["by_query"][bench.number]
    row[:] = steps.distrusted(bench.ids, bench.desk, bench.part, len(row))


def differ(bench: Bench, groups: int) -> np.ndarray:
    """Differences from trusted others."""
    return steps.differ(bench.batch, bench.desk, bench.part, groups)


def decide(bench: Bench, verdicts: np.ndarray) -> None:
    """Weights and reasons."""
    steps.decide(bench.batch, bench.desk, bench.part, verdicts, bench.settings)


STEPS: dict[str, Callable[..., Any]] = {
    step.__name__: step for step in (screen, twins, by_query, compare, by_user, trust, distrusted, differ, decide)
}


def serve(connection: Connection, number: int, workers: int, settings: Settings) -> None:
    """Do steps until the connection closes. Sends ("done", result) or ("failed", why) for each."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is the parent's affair: it closes the connection
    arenas: dict[str, Arena] = {}
    items = 0

    def do(name: str, *given: Any) -> Any:
        mapped = arenas["columns"].arrays, arenas["tables"].arrays if "tables" in arenas else {}
        return STEPS[name](Bench(number, workers, settings, items, *mapped), *given)

    try:
        while True:
            name, *given = connection.recv()
            try:
                if name == "open":
                    items = _open(arenas, *given)
                    answer: tuple[str, Any] = ("done", None)
                else:
                    answer = "done", do(name, *given)
            except Exception as error:
                answer = "failed", f"{type(error).__name__}: {error}"
            connection.send(answer)
    except (EOFError, OSError):
        pass  # the parent has closed the connection, or is gone
    finally:
        for arena in arenas.values():
            arena.close()


def _open(arenas: dict[str, Arena], what: str, layout: Layout, items: int) -> int:
    """Map a block in place of the one mapped before, if it is another."""
    if what in arenas and arenas[what].layout.name != layout.name:
        arenas.pop(what).close()
    if what not in arenas:
        arenas[what] = Arena(layout)
    return items
