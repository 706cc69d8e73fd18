"""From a lab to pipelines at work: what is refused, what is shared, what readers say, who waits for whom."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from doubles import Bars
from live import ALPHAS, COLLECTIONS, built, encoder, queries, setting, stages, vectors

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment import answers, live, spending, stream
from rag_lab.experiment.latency import STAGES, in_turn, play
from rag_lab.experiment.readers import Crowd, Readers
from rag_lab.experiment.stream import LENGTH, START_S, Request, frozen, requests
from rag_lab.experiment.variants import standing
from rag_lab.l4_feedback.users import Kind
from rag_lab.pipeline import Computed, Pipeline, Reply
from rag_lab.types import ActionSet, Answer, Collection, Dataset, Trace

ZERO = Trace(*[0.0] * 6)


class TinyEncoder:
    """The encoder stage over the tests' tiny encoder."""

    def identity(self, collection: Collection) -> str:
        return "tiny"

    def check(self, collection: Collection, progress: Any) -> None: ...

    def live(self, progress: Any) -> Any:
        return encoder()

    def passages(self, collection: Collection, progress: Any) -> np.ndarray:
        return vectors(encoder(), [passage.indexed_text for passage in collection.passages])

    def queries(self, collection: Collection, progress: Any) -> np.ndarray:
        return vectors(encoder(), [query.text for query in collection.queries])


def halved(one: Collection) -> Collection:
    """Every second query in test."""
    placed = (query._replace(split="test" if n % 2 else "train") for n, query in enumerate(one.queries))
    return replace(one, queries=tuple(placed))


DATASET = Dataset("tiny", tuple(map(halved, COLLECTIONS)), "f" * 64, "", 0)


def lab(encoder: Any = None, **choices: str) -> Any:
    """A lab of the baseline's choices, but for those given."""
    chosen = live.frozen() | choices
    config = {group: standing(name, group=group) for group, name in chosen.items()}
    return SimpleNamespace(
        dataset=DATASET,
        encoder=encoder or TinyEncoder(),
        retriever=built("retriever", "hybrid", pool=20),
        prices=built("prices", "frozen"),
        config=config,
        choices={"encoder": "tiny", **chosen},
        progress=Bars(),
        seed=0,
        setting=lambda name, tune, judged: replace(setting(), tune=tune, judged=judged),
        no_judged=lambda name: setting().judged,
        action_set=lambda name: ActionSet(name, ALPHAS, *np.zeros((2, 11), int), np.zeros(11), np.full(11, 100)),
    )


def test_the_frozen_baseline_is_the_protocols() -> None:
    assert live.frozen() == {
        "detector": "sequential", "policy": "static", "router": "fixed", "generator": "lead", "filter": "scalar",
        "cache": "none",
    }  # fmt: skip
    nodes = live.baseline_nodes()
    assert nodes["policy"]["alpha"] == 0.5 and nodes["router"]["passages"] == 10
    assert all(nodes[group] == standing(name, group=group) for group, name in live.frozen().items())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"generator": "none"}, "generator=none: a live pipeline answers; give generator=lead"),
        ({"policy": "oracle_query"}, "policy=oracle_query: a live pipeline chooses α alone"),
        ({"policy": "static_tuned"}, "policy: a tuned policy needs a study"),
        (
            {"encoder": object()},
            "encoder=tiny only knows the vectors in its files; live text needs encoder=minilm",
        ),
    ],
)
def test_what_cannot_answer_live_is_refused(changes: dict[str, Any], says: str) -> None:
    one = lab(**changes)
    with pytest.raises(ConfigError) as caught:
        live.check(one, live.chosen_nodes(one))
    assert str(caught.value).startswith(says)


def test_a_domain_without_train_queries_is_refused() -> None:
    one = lab()
    bare = replace(COLLECTIONS[0], queries=tuple(query._replace(split="test") for query in COLLECTIONS[0].queries))
    one.dataset = replace(DATASET, collections=(bare, DATASET.collections[1]))
    with pytest.raises(ConfigError, match="domain 'medicine' has no train query"):
        live.check(one, live.chosen_nodes(one))


def test_a_pipeline_is_made_of_the_stages_chosen() -> None:
    one = lab(detector="batched", filter="vectorized", policy="static_domain")
    live.check(one, live.chosen_nodes(one))
    given = live.materials(one)
    assert given.train.domain.tolist() == [0] * 10 + [1] * 10 and len(given.train.texts) == 20
    assert list(given.indexes) == ["medicine", "money"]
    found = live.stages(given, live.chosen_nodes(one), window=7)
    assert (found.shown, found.window) == (10, 7) and found.indexes is given.indexes
    replies = Pipeline(found, given.setting, 0).respond(queries(4))
    assert [ALPHAS[reply.action] for reply in replies] == [0.7, 0.2] * 2


def reply(place: int, passages: tuple[str, ...], domain: int = 0) -> Reply:
    return Reply(queries(40)[place], Answer("", ()), passages, domain, 0, ZERO)


def readers(noise: float = 0.0, each: int = 4, seed: int = 0) -> Readers:
    return Readers(DATASET, Crowd(20, each, noise), 10, seed)


def test_the_honest_rate_what_is_shown_by_its_recall() -> None:
    found, missed = reply(0, ("p5", "p0")), reply(2, ("p7",))
    assert (readers().worth(found), readers().worth(missed)) == (1, 0)
    heard = readers().hear([found, missed], 5.0)
    assert heard.about.tolist() == [0] * 4 + [1] * 4
    assert heard.items.rating[:4].mean() > 0.8 and heard.items.rating[4:].mean() < 0.2
    assert heard.items.query.tolist() == [0] * 4 + [1] * 4 and set(heard.items.time_s) == {5.0}


def test_every_answer_is_another_query_to_the_filter_and_bears_the_detected_domain() -> None:
    one = readers()
    first, second = one.hear([reply(0, ("p0",), 1)], 1.0), one.hear([reply(0, ("p0",), -1)], 2.0)
    assert set(first.items.query) == {0} and set(second.items.query) == {1}
    assert set(first.items.domain) == {1} and set(second.items.domain) == {-1}
    assert len(set(first.items.user)) == 4
    assert first.items.dwell_s.tolist() != second.items.dwell_s.tolist()


def test_equal_answers_are_read_alike_by_readers_of_one_seed() -> None:
    one, other, third = readers(0.5), readers(0.5), readers(0.5, seed=1)
    for _ in range(3):
        heard = [each.hear([reply(0, ("p0",))], 1.0).items for each in (one, other, third)]
        for mine, theirs in zip(heard[0], heard[1], strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert heard[0].rating.tolist() != heard[2].rating.tolist()


def test_colluders_push_what_shows_nothing_relevant() -> None:
    crowd = readers(1.0, each=20)
    crowd._crowd = crowd._crowd._replace(kind=np.full(20, int(Kind.COLLUDER)))
    found, missed = (crowd.hear([one], 1.0).items.rating for one in (reply(0, ("p0",)), reply(2, ("p9",))))
    assert set(found) == {0.0} and set(missed) == {1.0}


def test_the_frozen_stream_is_the_protocols_and_its_beginning_is_always_the_same() -> None:
    whole = requests(stream.test_queries(DATASET), length=LENGTH, exponent=1.0, seed=0)
    assert frozen(DATASET, 30) == whole[:30] and len(frozen(DATASET, 9999)) == LENGTH == 5000


class Served:
    """A pipeline that notes whom it serves."""

    def __init__(self, name: str, notes: list[tuple[str, str]]) -> None:
        self.name, self.notes = name, notes

    def respond(self, queries: Any) -> list[Reply]:
        self.notes.append((self.name, queries[0].id))
        return [Reply(queries[0], Answer("", ()), (), 0, 0, Trace(1, 2, 3, 4, 0, 10))]

    def learn(self, replies: Any, heard: Any, now_s: float) -> list[Reply]:
        return [one._replace(trace=one.trace._replace(filter_ms=5.0, e2e_ms=15.0)) for one in replies]

    def forget(self) -> None:
        self.notes.append((self.name, "forgets"))


def test_pipelines_take_turns_after_each_was_warm() -> None:
    notes: list[tuple[str, str]] = []
    asked = [Request(query, START_S) for query in [*queries(2), queries(1)[0]]]
    pipelines: Any = {name: Served(name, notes) for name in "AB"}
    played = play(pipelines, asked, readers, Bars()("answer", 6, "requests"))
    first, second = queries(2)
    warm = [[(name, first.id), (name, second.id), (name, "forgets")] for name in "AB"]
    turns = [(name, one.id) for one in (first, second, first) for name in "AB"]
    assert notes == [*warm[0], *warm[1], *turns]
    assert [len(one.replies) for one in played.values()] == [3, 3]
    assert {stage: each.tolist() for stage, each in played["A"].traces_ms.items()} == {
        stage: [value] * 3 for stage, value in zip(STAGES, (1, 2, 3, 4, 5, 15), strict=True)
    }


def test_two_real_pipelines_that_differ_in_speed_alone_answer_alike() -> None:
    given = stages()
    pipelines = {
        "scalar": Pipeline(given, setting(), 0),
        "vectorized": Pipeline(given._replace(filter=built("filter", "vectorized")), setting(), 0),
    }
    asked = frozen(DATASET, 25)
    crowd = partial(Readers, DATASET, Crowd(20, 3, 0.3), 25, 0)
    played = play(pipelines, asked, crowd, Bars()("answer", 50, "requests"))
    one, other = (each.replies for each in played.values())
    assert answers.same(one, other) == 1 and [each.query for each in one] == [each.query for each in asked]
    for name, each in played.items():
        times = each.traces_ms
        assert all((times[stage] > 0).all() for stage in STAGES), name
        np.testing.assert_allclose(sum(times[stage] for stage in STAGES if stage != "e2e"), times["e2e"])
        assert each.warm_up_s > 0


def test_programs_take_turns() -> None:
    called: list[tuple[str, int]] = []

    def note(name: str, repeat: int) -> None:
        called.append((name, repeat))

    bar = Bars()("x", 3, "rounds")
    taken = in_turn({name: partial(note, name) for name in "ab"}, 3, bar)
    assert called == [(name, repeat) for repeat in range(3) for name in "ab"]
    assert bar.done == 3 and all((each >= 0).all() and len(each) == 3 for each in taken.values())


def test_quality_of_what_was_shown_by_hand() -> None:
    """The one relevant passage second: recall 1, nDCG 1/log2(3); and not shown at all."""
    recall, ndcg = answers.quality(DATASET, [reply(0, ("p5", "p0")), reply(2, ("p7",))])
    assert recall.tolist() == [1, 0] and ndcg == pytest.approx([1 / np.log2(3), 0])


def test_a_query_asked_twice_is_one_row_with_its_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every text of 10 tokens, in US dollars per million: a lexical search 2, a vector search 5, an embedding 0.2."""
    monkeypatch.setattr(spending, "count_tokens", lambda texts, progress: np.full(len(texts), 10))
    replies = [
        reply(0, ("p0",))._replace(trace=Trace(0, 0, 0, 0, 0, 10), action=2),
        reply(2, ("p7",), -1)._replace(trace=Trace(0, 0, 0, 0, 0, 5), action=10),  # α = 1: of words alone
        reply(0, ("p9",))._replace(trace=Trace(0, 0, 0, 0, 0, 30), action=4, computed=Computed(True, False, True)),
    ]
    rows = answers.by_query(lab(), "static", replies).to_pylist()
    assert [row["query_id"] for row in rows] == ["medicine-q0", "medicine-q1"]
    assert rows[0] | {"answers": 2, "latency_ms": 20, "recall_at_10": 0.5} == rows[0]
    assert [row["cost_usd"] for row in rows] == pytest.approx([(7.2e-6 + 0.2e-6) / 2, 2e-6])
    assert rows[0]["detected_domain"] == "medicine" and rows[1]["detected_domain"] is None
    table = answers.by_answer("static", replies)
    assert table["e2e_ms"].to_pylist() == [10, 5, 30] and table["request"].to_pylist() == [0, 1, 2]
    assert table["computed_evidence"].to_pylist() == [True, True, False]


def test_only_what_was_computed_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token a letter: a question of 5, two passages of 7 and 9, an answer of 3, at the frozen prices."""
    monkeypatch.setattr(spending, "count_tokens", lambda texts, progress: np.array([len(text) for text in texts]))
    one = replace(COLLECTIONS[0], passages=tuple(COLLECTIONS[0].passages[n]._replace(text="x" * n) for n in (7, 9)))
    given = lab()
    given.dataset = Dataset("tiny", (one,), "f" * 64, "", 0)
    asked = reply(0, tuple(passage.id for passage in one.passages))._replace(answer=Answer("abc", ()), action=5)
    asked = asked._replace(query=asked.query._replace(text="abcde"))
    replies = [asked, *(asked._replace(computed=Computed(*flags)) for flags in ((False, True, False), (False,) * 3))]
    used = spending.usage(given, replies)
    titles = sum(len(passage.indexed_text) - len(passage.text) for passage in one.passages)
    assert used.tokens_in.tolist() == [5 + 7 + 9 + titles, 0, 0] and used.tokens_out.tolist() == [3, 0, 0]
    assert used.embedded.tolist() == [5, 0, 0] and used.lexical.tolist() == used.vector.tolist() == [1, 1, 0]
    assert used.calls.tolist() == [4, 2, 0]
    written = (21 + titles) * 0.15 + 3 * 0.6
    assert used.usd(given.prices) == pytest.approx([(7 + 5 * 0.02 + written) / 1e6, 7e-6, 0])


def test_variants_are_found_by_their_files() -> None:
    assert {"keyword", "batched", "sequential", "classifier"} <= set(live.names("detector"))
    for name in live.names("filter"):
        wiring.target(standing(name, group="filter"), "filter")
