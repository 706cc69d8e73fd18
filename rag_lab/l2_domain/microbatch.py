"""Dynamic micro-batching: many threads ask for one query each, a detector answers them together.

The first question that arrives opens a batch; it is asked when it is full, or when the first has waited long
enough for company. While one batch is answered the next one gathers, so under load nobody waits for the clock.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from time import monotonic
from typing import NamedTuple

from rag_lab.l2_domain.signature import Fitted, Signature


class _Question(NamedTuple):
    text: str
    answer: Future[Signature]


class MicroBatch:
    """Call it with one text, from any thread. A context manager: leaving it answers what was asked, then ends.

    max_batch: questions in one call of the detector; max_wait_ms: how long the first of them waits for others.
    """

    def __init__(self, detector: Fitted, max_batch: int, max_wait_ms: float) -> None:
        self._detector, self._max_batch, self._max_wait_s = detector, max_batch, max_wait_ms / 1000
        self._asked: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._open, self._lock = True, threading.Lock()
        self._worker = threading.Thread(target=self._work, name="microbatch", daemon=True)
        self._worker.start()

    def __call__(self, text: str) -> Signature:
        """The signature of the text, one row. Raises what the detector raises for it; RuntimeError once closed."""
        question = _Question(text, Future())
        with self._lock:  # nothing may be asked behind the end that `close` sends
            if not self._open:
                raise RuntimeError("this MicroBatch is closed")
            self._asked.put(question)
        return question.answer.result()

    def close(self) -> None:
        """Answer what was asked and end; a second call does nothing."""
        with self._lock:
            if self._open:
                self._open = False
                self._asked.put(None)
        self._worker.join()

    def __enter__(self) -> MicroBatch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _work(self) -> None:
        going = True
        while going:
            batch, going = self._gather()
            if batch:
                self._answer(batch)

    def _gather(self) -> tuple[list[_Question], bool]:
        """The next batch, and whether more may follow."""
        batch: list[_Question] = []
        until = 0.0
        while len(batch) < self._max_batch:
            try:
                # Those that wait already are taken whatever the clock says.
                question = self._asked.get(timeout=max(until - monotonic(), 0.0) if batch else None)
            except queue.Empty:
                break
            if question is None:
                return batch, False
            if not batch:
                until = monotonic() + self._max_wait_s
            batch.append(question)
        return batch, True

    def _answer(self, batch: list[_Question]) -> None:
        """One call for all. Where it fails, one call each: only those who cause an exception get it."""
        try:
            found = self._detector([question.text for question in batch])
            rows = [Signature(*(part[row : row + 1] for part in found)) for row in range(len(batch))]
        except BaseException as error:  # whatever it is, the callers wait to hear of it
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
            else:
                for question in batch:
                    self._answer([question])
            return
        for question, row in zip(batch, rows, strict=True):
            question.answer.set_result(row)
