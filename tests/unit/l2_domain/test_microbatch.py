"""Many threads, one detector: the answers are those of a direct call, and batches really form."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
import pytest

from rag_lab.l2_domain.microbatch import MicroBatch
from rag_lab.l2_domain.signature import Signature, sign

PATIENT_MS = 60_000.0  # no test waits so long: a batch goes because it is full, or because of close


class Lengths:
    """A detector that tells texts apart by their length, keeps what it was asked, and refuses some texts.

    While `gate` is closed it does not answer.
    """

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, texts: Sequence[str], vectors: np.ndarray | None = None) -> Signature:
        self.asked.append(list(texts))
        self.gate.wait()
        if refused := [text for text in texts if text.startswith("bad")]:
            raise ValueError(f"no domain for {refused[0]}")
        share = np.array([[len(text) / 100, 1 - len(text) / 100] for text in texts])
        return sign(share, 0.0)


@pytest.fixture
def detector() -> Iterator[Lengths]:
    one = Lengths()
    yield one
    one.gate.set()


def same(one: Signature, other: Signature) -> bool:
    return all(np.array_equal(*parts) for parts in zip(one, other, strict=True))


def asked_at_once(batch: MicroBatch, texts: Sequence[str]) -> list[Signature | Exception]:
    """Each text from a thread of its own, all together; what each thread got."""
    together = threading.Barrier(len(texts))

    def ask(text: str) -> Signature | Exception:
        together.wait()
        try:
            return batch(text)
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(texts)) as threads:
        return list(threads.map(ask, texts))


def test_every_caller_gets_the_answer_to_its_own_question(detector: Lengths) -> None:
    texts = ["x" * (1 + number % 90) for number in range(200)]
    with MicroBatch(detector, 8, 1.0) as batch, ThreadPoolExecutor(16) as threads:
        found = list(threads.map(batch, texts))
    assert all(same(one, Lengths()([text])) for one, text in zip(found, texts, strict=True))
    assert max(map(len, detector.asked)) <= 8 and sorted(chain(*detector.asked)) == sorted(texts)


def test_a_full_batch_goes_at_once_and_as_one(detector: Lengths) -> None:
    texts = [f"question {number}" for number in range(6)]
    with MicroBatch(detector, 6, PATIENT_MS) as batch:
        asked_at_once(batch, texts)
    assert [sorted(asked) for asked in detector.asked] == [texts]


def test_while_one_batch_is_answered_the_next_one_gathers(detector: Lengths) -> None:
    """The first question goes alone and is held up; the five that came meanwhile go together, without waiting."""
    detector.gate.clear()
    with MicroBatch(detector, 64, 0.0) as batch, ThreadPoolExecutor(6) as threads:
        first = threads.submit(batch, "first")
        while not detector.asked:
            threading.Event().wait(0.001)
        others = [threads.submit(batch, f"other {number}") for number in range(5)]
        while batch._asked.qsize() < 5:
            threading.Event().wait(0.001)
        detector.gate.set()
        assert len({len(one.result().domain) for one in [first, *others]}) == 1
    assert list(map(len, detector.asked)) == [1, 5]


def test_a_lone_caller_waits_no_longer_than_it_must(detector: Lengths) -> None:
    with MicroBatch(detector, 64, 1.0) as batch:
        assert same(batch("alone"), Lengths()(["alone"]))
    assert detector.asked == [["alone"]]


def test_an_exception_reaches_whoever_caused_it_and_nobody_else(detector: Lengths) -> None:
    texts = ["good", "bad one", "fine", "bad two"]
    with MicroBatch(detector, 4, PATIENT_MS) as batch:
        found = asked_at_once(batch, texts)
        assert [str(one) for one in found if isinstance(one, Exception)] == [
            "no domain for bad one",
            "no domain for bad two",
        ]
        assert same(found[0], Lengths()(["good"])) and same(found[2], Lengths()(["fine"]))
        assert len(asked_at_once(batch, ["still", "here", "to", "ask"])) == 4


def test_closing_answers_what_was_asked_and_refuses_the_rest(detector: Lengths) -> None:
    """While the first question is held up, two more are asked, and the end is called for."""
    detector.gate.clear()
    batch = MicroBatch(detector, 64, 0.0)
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(batch, "a")]
        while not detector.asked:
            threading.Event().wait(0.001)
        waiting += [threads.submit(batch, text) for text in ("bb", "ccc")]
        while batch._asked.qsize() < 2:
            threading.Event().wait(0.001)
        closing = threads.submit(batch.close)
        while batch._open:
            threading.Event().wait(0.001)
        with pytest.raises(RuntimeError, match="closed"):
            batch("late")
        detector.gate.set()
        closing.result()
        assert [one.result().probabilities[0, 0] for one in waiting] == [0.01, 0.02, 0.03]
    batch.close()
    assert not batch._worker.is_alive()
