"""The pipeline records itself: what it says is what a caller's own clock says."""

from __future__ import annotations

import time

import numpy as np
import pytest
from live import built, queries, recall, setting, stages

from rag_lab.errors import DataError
from rag_lab.l4_feedback.feedback import FeedbackBatch
from rag_lab.pipeline import Heard, Pipeline
from rag_lab.telemetry import current, names
from rag_lab.telemetry.recorder import Recording
from rag_lab.types import Answer, Usage

STAGES = stages()
NOW = 1.75e9


@pytest.fixture(scope="module")
def one() -> Pipeline:
    pipeline = Pipeline(STAGES, setting(), seed=0, name="tested")
    pipeline.respond(queries(1))  # compiled before anything is recorded
    return pipeline


def heard(answers: int) -> Heard:
    items = np.arange(answers)
    return Heard(
        FeedbackBatch(
            user=items.astype(np.int32),
            query=items.astype(np.int32),
            domain=np.zeros(answers, np.int32),
            rating=np.ones(answers, np.float32),
            time_s=np.full(answers, NOW),
            dwell_s=np.full(answers, 60, np.float32),
            position=np.ones(answers, np.int32),
        ),
        items,
    )


class Slow:
    """A generator that takes its time."""

    def __init__(self, taken_s: float) -> None:
        self.taken_s = taken_s

    def answer(self, question: str, evidence: object) -> Answer:
        time.sleep(self.taken_s)
        return Answer(question, ())


def test_every_level_of_every_query_is_recorded_under_the_pipeline_s_name(one: Pipeline) -> None:
    recording = Recording(0.005, 50)
    with current.use(recording):
        for _ in range(3):
            replies = one.respond(queries(4))
            one.learn(replies, heard(4), NOW)
    found = recording.snapshot()
    levels = {names.L1, names.L2, names.L3, names.L4, names.E2E, names.FILTER, names.LEARN}
    assert set(found.latencies) == {("tested", level) for level in levels}
    assert {one.count for one in found.latencies.values()} == {12}
    assert found.counters == {("queries", (("variant", "tested"),)): 12}
    gauge = found.gauges["in_flight", (("variant", "tested"),)]
    assert (gauge.last, gauge.high, gauge.count) == (0, 4, 6)


def test_the_levels_of_an_answer_add_up_and_the_caller_s_clock_agrees(
    one: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording, outside_ms = Recording(0.005, 50), []
    monkeypatch.setattr(one, "stages", STAGES._replace(generator=Slow(0.02)))
    with current.use(recording):
        for query in queries(12):
            started = time.perf_counter()
            one.respond([query])
            outside_ms.append(1000 * (time.perf_counter() - started))
    found = recording.snapshot().latencies
    parts = sum(found["tested", level].sum_ms for level in (names.L1, names.L2, names.L3, names.L4))
    assert parts == pytest.approx(found["tested", names.E2E].sum_ms)
    for share in (0.5, 0.95):
        outside = np.quantile(outside_ms, share, method="lower")
        assert found["tested", names.E2E].quantile(share) == pytest.approx(outside, rel=0.02)


def test_what_is_remembered_and_what_a_model_took_is_counted(one: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    class Model:
        def answer(self, question: str, evidence: object) -> Answer:
            return Answer(question, (), usage=Usage(1, 100, 20, True))

    with built("cache", "memory").open(time.time) as cache:
        monkeypatch.setattr(one, "stages", STAGES._replace(recall=recall(cache), generator=Model()))
        monkeypatch.setattr(one, "remembers", True)
        recording = Recording(0.005, 50)
        with current.use(recording):
            for _ in range(2):
                one.respond(queries(3))
    counted = {
        (name, *(value for _, value in labels)): n for (name, labels), n in recording.snapshot().counters.items()
    }
    for layer in names.LAYERS:
        assert (
            counted["cache_requests", layer, "miss", "tested"] == counted["cache_requests", layer, "hit", "tested"] == 3
        )
    assert counted["api_calls", "generator"] == 3
    assert counted["tokens", "in", "generator"] == 300 and counted["tokens", "out", "generator"] == 60


def test_an_error_is_counted_by_its_kind_and_raised(one: Pipeline) -> None:
    recording = Recording(0.005, 50)
    with current.use(recording), pytest.raises(DataError):
        one.respond([queries(1)[0]._replace(domain="law")])
    found = recording.snapshot()
    assert found.counters == {("errors", (("kind", "DataError"), ("where", "respond"))): 1}
    assert found.latencies == {} and found.gauges["in_flight", (("variant", "tested"),)].last == 0


def test_feedback_of_nobody_is_not_recorded(one: Pipeline) -> None:
    recording = Recording(0.005, 50)
    with current.use(recording):
        replies = one.respond(queries(2))
        assert one.learn(replies, heard(0), NOW) == replies
        one.respond([])
    assert {level for _, level in recording.snapshot().latencies} == {"l1", "l2", "l3", "l4", "e2e"}


def test_measuring_changes_no_answer(one: Pipeline) -> None:
    plain = one.respond(queries(6))
    with current.use(Recording(0.005, 50)):
        measured = one.respond(queries(6))
    assert [reply._replace(trace=None) for reply in plain] == [reply._replace(trace=None) for reply in measured]
