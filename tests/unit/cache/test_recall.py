"""The layers around the pipeline: answers stay what they were, and only what changed is computed again."""

from __future__ import annotations

import numpy as np
import pytest
from live import COLLECTIONS, recall, stages
from live import setting as setting_of
from servers import LAYERING, Open

from rag_lab.cache import memory
from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import Cache
from rag_lab.cache.recall import Names, Recall
from rag_lab.pipeline import Computed, Pipeline
from rag_lab.types import Answer, Query

QUERIES = [query for one in COLLECTIONS for query in one.queries]
ALL, NOTHING = Computed(True, True, True), Computed(False, False, False)


def cache() -> Cache:
    return memory.build(namespace="n", layers=LAYERING, max_bytes=1 << 26).open()


def test_every_answer_is_the_uncached_one_alone_or_in_a_batch(opened: Open) -> None:
    """With each cache, on each server."""
    plain = Pipeline(stages(), setting_of(), 0)
    kept = Pipeline(stages(recall=recall(opened(namespace="answers"))), setting_of(), 0)
    asked = [*QUERIES, QUERIES[0], *QUERIES[3:9]]
    for batch in ([asked[0]], asked, asked[5:12], [asked[1], asked[1], asked[30]], asked):
        replies = kept.respond(batch)
        for one, other in zip(plain.respond(batch), replies, strict=True):
            assert one.answer == other.answer and one.passages == other.passages
            assert (one.domain, one.action) == (other.domain, other.action) and one.computed == ALL
    assert {reply.computed for reply in replies} == {NOTHING}


def test_a_reply_tells_what_was_computed(opened: Open) -> None:
    pipeline = Pipeline(stages(recall=recall(opened(namespace="told"))), setting_of(), 0)
    assert [reply.computed for reply in pipeline.respond(QUERIES[:2])] == [ALL, ALL]
    replies = pipeline.respond([QUERIES[1], QUERIES[25], QUERIES[0]])
    assert [reply.computed for reply in replies] == [NOTHING, ALL, NOTHING]


def names(**changes: object) -> Names:
    given = {"encoder": "e", "indexes": {"one": "i1", "two": "i2"}, "retriever": {"pool": 20}, "generator": {"n": 1}}
    return Names(**{**given, **changes})


def computed(kept: Cache, given: Names, alpha: float = 0.5, shown: int = 10, domain: str = "one") -> Computed:
    """What is computed for one question."""
    around = Recall(kept, given, shown)
    found = Evidence(np.arange(3, dtype=np.int32), np.ones(3, np.float32))
    _, embedded = around.embed(["q"], lambda _: [np.ones(4, np.float32)])
    (evidence,), searched = around.search(
        domain, ["q"], np.ones((1, 4), np.float32), np.array([alpha]), lambda _: [found]
    )
    _, written = around.answer(domain, ["q"], np.ones((1, 4), np.float32), [evidence], lambda _: [Answer("a", ())])
    return Computed(bool(embedded[0]), bool(searched[0]), bool(written[0]))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, NOTHING),
        ({"given": names(encoder="other")}, Computed(True, True, False)),  # the same evidence: the same answer
        ({"given": names(indexes={"one": "i9", "two": "i2"})}, Computed(False, True, True)),
        ({"given": names(retriever={"pool": 30})}, Computed(False, True, False)),
        ({"given": names(generator={"n": 2})}, Computed(False, False, True)),
        ({"alpha": 0.4}, Computed(False, True, False)),
        ({"shown": 5}, Computed(False, True, False)),
        ({"domain": "two"}, Computed(False, True, True)),
    ],
)
def test_only_what_depends_on_a_change_is_computed_again(change: dict, again: Computed) -> None:
    kept = cache()
    assert computed(kept, names()) == ALL
    assert computed(kept, **{"given": names(), **change}) == again


def test_a_query_of_no_collection_is_refused_before_anything_is_computed() -> None:
    pipeline = Pipeline(stages(recall=recall(cache())), setting_of(), 0)
    with pytest.raises(Exception, match="no index"):
        pipeline.respond([QUERIES[0], Query("x", "x", "law", "test", 0)])
    assert pipeline.respond(QUERIES[:1])[0].computed == ALL
