"""The live pipeline: what it answers, where it says its time went, and what it learns from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from live import ALPHAS, COLLECTIONS, WORDS, built, queries, setting, stages, vectors

from rag_lab import pipeline as module
from rag_lab.errors import DataError
from rag_lab.l2_domain.signature import UNKNOWN, Signature
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filtered, everything
from rag_lab.pipeline import Heard, Pipeline
from rag_lab.types import Answer, Passage, Query, Sentence, Trace

NOW = 1.75e9
STAGES = stages()


def started(**chosen: Any) -> Pipeline:
    return Pipeline(STAGES._replace(**chosen), setting(), seed=0)


def heard(about: Sequence[int], rating: Sequence[float], first: int = 0, **columns: Any) -> Heard:
    """Long, first-position readings by different users of different answers, but for what is given."""
    count = len(about)
    given: dict[str, Any] = {
        "user": first + np.arange(count, dtype=np.int32),
        "query": np.asarray(about, np.int32),
        "domain": np.zeros(count, np.int32),
        "rating": np.asarray(rating, np.float32),
        "time_s": np.full(count, NOW),
        "dwell_s": np.full(count, 60, np.float32),
        "position": np.ones(count, np.int32),
    }
    return Heard(FeedbackBatch(**(given | columns)), np.asarray(about))


class Notes:
    """A filter that notes the batches that it is given, and weighs them as told."""

    def __init__(self, *weights: float) -> None:
        self.batches: list[FeedbackBatch] = []
        self.weights = weights

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        self.batches.append(batch)
        found = everything(len(batch.user))
        return found._replace(weight=np.array(self.weights, np.float32)) if self.weights else found

    def close(self) -> None: ...


class Recorder:
    """A policy's update that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int, float]] = []

    def __call__(self, state: Any, place: Any, action: Any, reward: Any) -> Any:
        self.told.append((int(place), int(action), float(reward)))
        return state


def listening(**chosen: Any) -> tuple[Pipeline, Recorder]:
    """A pipeline whose policy's updates are noted."""
    pipeline, recorder = started(**chosen), Recorder()
    pipeline._bandit._update = recorder
    return pipeline, recorder


# Answers


def test_an_answer_is_the_lead_of_what_the_index_finds_at_the_policys_alpha() -> None:
    (reply,) = started(policy=built("policy", "static", alpha=0.3)).respond(queries(1))
    query, index = reply.query, STAGES.indexes["medicine"]
    hits = index.search([query.text], vectors(STAGES.live, [query.text]), np.array([0.3]), 10)
    expected = [index.collection.passages[place] for place in hits.passage[0]]
    assert reply.passages == tuple(passage.id for passage in expected)
    said, cited = expected[0].text.split(".")[0] + ".", (expected[0].id,)
    assert reply.answer == Answer(said, cited, (Sentence(said, cited),))
    assert ALPHAS[reply.action] == 0.3
    assert reply.domain == 0 and len(reply.passages) == 10


def test_a_query_finds_its_own_passage_and_domain() -> None:
    asked = queries(40)
    replies = started().respond(asked)
    assert [reply.query for reply in replies] == asked
    assert [list(WORDS)[reply.domain] for reply in replies] == [query.domain for query in asked]
    for reply in replies:
        wanted = next(iter(COLLECTIONS[reply.domain].qrels[reply.query.id]))
        assert wanted in reply.passages


def test_a_batch_answers_as_one_by_one() -> None:
    asked = queries(7)
    together, alone = started().respond(asked), started()
    for reply in together:
        (one,) = alone.respond([reply.query])
        assert (one.answer, one.passages, one.domain, one.action) == (
            reply.answer, reply.passages, reply.domain, reply.action,
        )  # fmt: skip


def test_no_query_is_no_answer() -> None:
    assert started().respond([]) == []


def test_a_query_of_another_collection_is_refused() -> None:
    with pytest.raises(DataError, match=r"'law', which has no index; there are: medicine, money"):
        started().respond([Query("q", "a contract", "law", "test", 0)])


def test_the_detected_domain_chooses_alpha_and_the_unknown_has_its_own() -> None:
    def says(domain: int) -> Any:
        even = np.full((1, 2), 0.5)
        return lambda texts, vectors=None: Signature(even, np.array([domain]), even[:, 0])

    asked = queries(1)
    for domain, alpha in ((0, 0.7), (1, 0.2), (UNKNOWN, 0.5)):
        pipeline = started(policy=built("policy", "static_domain"), detector=says(domain))
        (reply,) = pipeline.respond(asked)
        assert (reply.domain, ALPHAS[reply.action]) == (domain, alpha)
        assert reply.passages[0].startswith("p")  # searched in its own collection whatever was detected


# Traces


class Clock:
    """A clock that only the stages move, and who says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """A stage's function that takes so many seconds."""

    def __init__(self, clock: Clock, seconds: float, function: Any) -> None:
        self._clock, self._seconds, self._function = clock, seconds, function

    def __call__(self, *given: Any, **named: Any) -> Any:
        self._clock.now += self._seconds
        return self._function(*given, **named)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "perf_counter", clock)
    return clock


def slow(clock: Clock) -> Pipeline:
    """Embedding takes 1 s, detecting 2, choosing 4, a search 8, an answer 16, judging 32, an update 64."""
    filter, generator = Notes(), STAGES.generator
    filter.weigh = Slow(clock, 32, filter.weigh)  # type: ignore[method-assign]

    class Writer:
        def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
            return Slow(clock, 16, generator.answer)(question, evidence)

    pipeline = started(filter=filter, generator=Writer(), detector=Slow(clock, 2, STAGES.detector))
    pipeline._encode = Slow(clock, 1, pipeline._encode)
    pipeline._bandit._choose = Slow(clock, 4, pipeline._bandit._choose)
    pipeline._bandit._update = Slow(clock, 64, pipeline._bandit._update)
    pipeline._search = Slow(clock, 8, pipeline._search)  # type: ignore[method-assign]
    return pipeline


def test_every_stage_has_its_own_time_and_users_have_none(clock: Clock) -> None:
    pipeline = slow(clock)
    replies = pipeline.respond(queries(1))
    assert replies[0].trace == Trace(8000, 3000, 16000, 4000, 0, 31000)
    clock.now += 1e6  # they take their time
    (reply,) = pipeline.learn(replies, heard([0, 0], [1, 0]), NOW)
    assert reply.trace == Trace(8000, 3000, 16000, 68000, 32000, 127000)


def test_all_of_a_batch_wait_for_the_whole_of_it(clock: Clock) -> None:
    pipeline = slow(clock)
    replies = pipeline.respond(queries(3))
    assert {reply.trace for reply in replies} == {Trace(8000, 3000, 48000, 4000, 0, 63000)}
    replies = pipeline.learn(replies, heard([0, 2], [1, 0]), NOW)
    assert {reply.trace for reply in replies} == {Trace(8000, 3000, 48000, 4000 + 128000, 32000, 63000 + 160000)}


def test_feedback_that_comes_in_two_parts_is_counted_twice(clock: Clock) -> None:
    pipeline = slow(clock)
    replies = pipeline.respond(queries(1))
    for part in range(2):
        replies = pipeline.learn(replies, heard([0], [1], first=part), NOW)
    assert replies[0].trace == Trace(8000, 3000, 16000, 4000 + 128000, 64000, 31000 + 192000)


def test_real_stages_add_up_to_end_to_end() -> None:
    pipeline = started()
    replies = pipeline.respond(queries(4))
    replies = pipeline.learn(replies, heard([0, 1, 2, 3], [1, 0, 1, 0]), NOW)
    for reply in replies:
        *parts, whole = reply.trace
        assert min(parts) > 0 and sum(parts) == pytest.approx(whole, rel=1e-9)


# Learning


def test_a_reward_is_the_mean_rating_weighed_by_the_filter() -> None:
    pipeline, recorder = listening(filter=Notes(1, 3, 2, 0))
    replies = pipeline.respond(queries(2))
    pipeline.learn(replies, heard([0, 0, 1, 1], [1, 0, 0.5, 1]), NOW)
    half = int(np.flatnonzero(ALPHAS == 0.5)[0])
    assert recorder.told == [(0, half, 0.25), (1, half, 0.5)]


def test_nothing_is_learned_from_what_is_not_kept() -> None:
    """Not even from a rating that is no number."""
    pipeline, recorder = listening(filter=Notes(0, 1, 0))
    replies = pipeline.respond(queries(2))
    pipeline.learn(replies, heard([0, 1, 1], [1, 0.75, np.nan]), NOW)
    assert [told[2] for told in recorder.told] == [0.75]


def test_the_real_filter_drops_what_is_invalid() -> None:
    pipeline, recorder = listening()
    replies = pipeline.respond(queries(2))
    pipeline.learn(replies, heard([0, 1], [np.nan, 0.5]), NOW)
    assert [told[2] for told in recorder.told] == [0.5]


def test_the_filter_sees_the_latest_feedback_and_only_what_is_new_is_learned() -> None:
    notes = Notes()
    pipeline, recorder = listening(filter=notes, window=5)
    replies = pipeline.respond(queries(2))
    for first in (0, 10):
        pipeline.learn(replies, heard([0, 0, 1, 1], [1, 1, 0, 0], first), NOW)
    assert [batch.user.tolist() for batch in notes.batches] == [[0, 1, 2, 3], [3, 10, 11, 12, 13]]
    assert [told[2] for told in recorder.told] == [1, 0, 1, 0]


def test_of_more_feedback_than_the_window_holds_the_end_counts() -> None:
    notes = Notes()
    pipeline, recorder = listening(filter=notes, window=2)
    replies = pipeline.respond(queries(2))
    pipeline.learn(replies, heard([0, 0, 1, 1], [1, 1, 1, 0]), NOW)
    assert notes.batches[0].user.tolist() == [2, 3]
    assert [(told[0], told[2]) for told in recorder.told] == [(1, 0.5)]


def test_without_feedback_nothing_happens() -> None:
    pipeline, recorder = listening()
    replies = pipeline.respond(queries(2))
    assert pipeline.learn(replies, heard([], []), NOW) == replies and recorder.told == []


def test_a_learner_comes_to_prefer_what_is_praised_and_forgets_it() -> None:
    """α = 0 is praised, all else is not; after forgetting it goes the same way again."""
    thompson = built("policy", "thompson", prior_mean=0.5, prior_slope=0.0, prior_strength=1.0, reward_sd=0.2)
    pipeline = started(policy=thompson, filter=built("filter", "none"))
    asked = queries(1)

    def learn() -> list[int]:
        actions = []
        for _ in range(50):
            replies = pipeline.respond(asked)
            actions.append(replies[0].action)
            pipeline.learn(replies, heard([0], [float(actions[-1] == 0)]), NOW)
        return actions

    first = learn()
    assert len(set(first)) > 3 and set(first[-15:]) == {0}
    pipeline.forget()
    assert learn() == first
