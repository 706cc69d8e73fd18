"""Baking answers: every cell is what answering and grading it alone gives, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import bags
import numpy as np
import pytest
from doubles import Bars, collection

from rag_lab import answer_bake
from rag_lab.answer_bake import Desk, Scored
from rag_lab.kernels.support import Head
from rag_lab.metrics import answer as metrics
from rag_lab.metrics.answer import Asked, Grades, Quality, Weights
from rag_lab.types import Answer, Collection, Passage, Query, Sentence, Usage

TEXTS = [
    "Deep sleep stores memories. Naps rest the heart.",
    "Bonds pay interest. Interest on bonds is taxed.",
    "Rivers carry silt. Silt builds deltas.",
    "Deep rivers store silt.",
]
QUESTIONS = ["What stores memories?", "Is interest on bonds taxed?", "What do rivers carry?"]
ANSWERS = ["Deep sleep", "Interest on bonds is taxed.", None]
QUALITY = Quality(Weights(0.4, 0.4, 0.2), Head(0.0, 10.0, 0.0, 0.0, 0.0, -6.5, 0.5))


class Counting:
    """A generator that says the first sentence of each passage, and counts what it is asked."""

    def __init__(self, order_matters: bool) -> None:
        self.order_matters = order_matters
        self.asked: list[tuple[str, tuple[str, ...]]] = []

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        self.asked.append((question, tuple(one.text for one in evidence)))
        if not evidence:
            return Answer("Not in the evidence.", (), refused=True, confidence=0.0)
        ordered = evidence if self.order_matters else sorted(evidence)
        said = tuple(Sentence(one.text.split(". ")[0].rstrip(".") + ".", (one.id,)) for one in ordered)
        usage = Usage(1, 10 * len(evidence), len(said), True)
        return Answer(" ".join(one.text for one in said), tuple(one.id for one in ordered), said, usage=usage)

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        return [self.answer(*each) for each in zip(questions, evidence, strict=True)]


@pytest.fixture
def corpus() -> Collection:
    made = collection(TEXTS, QUESTIONS, [{0: 1}, {1: 2, 3: 0}, {2: 1, 3: 1}])
    queries = tuple(query._replace(answer=answer) for query, answer in zip(made.queries, ANSWERS, strict=True))
    silent = Query("u0", "Which elephants migrate?", "healthcare", "train", 0)
    return replace(made, queries=queries, unanswerable=(silent,))


def desk(generator: Counting, identity: str = "one") -> Desk:
    return Desk(generator, QUALITY, bags.shelf(), identity, bags.encode(TEXTS))


def shown(corpus: Collection) -> tuple[list[Query], list[list[answer_bake.Evidence]]]:
    """Every query under five actions: two passages, the same turned round, one, none, one of them cut."""
    a, b, c, d = corpus.passages
    cut = a._replace(text="Deep sleep stores memories.")
    return [*corpus.queries, *corpus.unanswerable], [
        [(a, b), (b, a), (a,), (), (cut,)],
        [(b, d), (d, b), (b,), (), (b,)],
        [(c, d), (d, c), (d,), (), (c,)],
        [(a, c), (c, a), (a,), (), (b,)],
    ]


@pytest.mark.parametrize("order_matters", [True, False])
def test_every_cell_is_what_it_is_alone(corpus: Collection, order_matters: bool, tmp_path: Path) -> None:
    queries, evidence = shown(corpus)
    found = answer_bake.score(corpus, queries, evidence, desk(Counting(order_matters)), tmp_path, Bars())
    by_id = {passage.id: passage for passage in corpus.passages}
    for row, query in enumerate(queries):
        relevant = tuple(by_id[one] for one, grade in sorted(corpus.qrels.get(query.id, {}).items()) if grade > 0)
        for column, passages in enumerate(evidence[row]):
            asked = Asked(query.text, passages, query.answer, query.id != "u0", relevant)
            answer = Counting(order_matters).answer(query.text, passages)
            grades = metrics.grade(QUALITY, bags.shelf(), [asked], [answer])
            for name, alone in zip(Grades._fields, grades, strict=True):
                np.testing.assert_equal(getattr(found, name)[row, column], alone[0], err_msg=f"{name} {row} {column}")
            usage = answer.usage
            taken = [np.nan] * 3 if usage is None else [usage.tokens_in, usage.tokens_out, usage.calls]
            cells = [getattr(found, name)[row, column] for name in ("tokens_in", "tokens_out", "calls")]
            np.testing.assert_equal(cells, taken)


def test_each_distinct_set_is_answered_once(corpus: Collection, tmp_path: Path) -> None:
    """Of five actions two show the same passages turned round, which counts where order matters."""
    queries, evidence = shown(corpus)
    for order_matters, expected in ((True, 5 + 4 + 5 + 5), (False, 4 + 3 + 4 + 4)):
        generator = Counting(order_matters)
        answer_bake.score(corpus, queries, evidence, desk(generator, str(order_matters)), tmp_path, Bars())
        assert len(generator.asked) == len(set(generator.asked)) == expected


def test_diversity_by_hand(corpus: Collection, tmp_path: Path) -> None:
    """Of two passages 1 − their cosine, cut or not; of one or none 0. Answers: distinct sentences over all."""
    queries, evidence = shown(corpus)
    found = answer_bake.score(corpus, queries, evidence, desk(Counting(False)), tmp_path, Bars())
    vectors = bags.encode(TEXTS)
    assert found.diversity[0, 0] == pytest.approx(1 - float(vectors[0] @ vectors[1]), abs=1e-6)
    assert found.diversity[0, 1] == found.diversity[0, 0] and (found.diversity[:, 2:] == 0).all()
    assert found.said[1] == pytest.approx(2 / 3)  # two sentences, then one of them again, then silence


def test_what_was_finished_is_read_back(corpus: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_bake, "BLOCK", 2)
    queries, evidence = shown(corpus)
    first = answer_bake.score(corpus, queries[:2], evidence[:2], desk(Counting(True)), tmp_path, Bars())
    generator, bars = Counting(True), Bars()
    second = answer_bake.score(corpus, queries, evidence, desk(generator), tmp_path, bars)
    assert {question for question, _ in generator.asked} == {query.text for query in queries[2:]}
    assert bars.opened[-1].done == bars.opened[-1].total == 4
    again = Counting(True)
    np.testing.assert_equal(
        second._asdict(),
        answer_bake.score(corpus, queries, evidence, desk(again), tmp_path, Bars())._asdict(),
    )
    assert again.asked == []
    for name in Scored._fields:
        np.testing.assert_equal(getattr(second, name)[:2], getattr(first, name))


@pytest.mark.parametrize("change", ["identity", "answer", "judgment", "text", "evidence"])
def test_whatever_a_result_depends_on_makes_it_anew(corpus: Collection, tmp_path: Path, change: str) -> None:
    queries, evidence = shown(corpus)
    queries, evidence = queries[:1], evidence[:1]
    answer_bake.score(corpus, queries, evidence, desk(Counting(True)), tmp_path, Bars())
    generator, identity = Counting(True), "one"
    if change == "identity":
        identity = "two"
    elif change == "answer":
        queries = [queries[0]._replace(answer="Naps")]
    elif change == "judgment":
        corpus = replace(corpus, qrels={**corpus.qrels, "q0": {"p1": 1}})
    elif change == "text":
        passages = (corpus.passages[0]._replace(text="Deep sleep heals."), *corpus.passages[1:])
        corpus = replace(corpus, passages=passages)
    else:
        evidence = [evidence[0][::-1]]
    answer_bake.score(corpus, queries, evidence, desk(generator, identity), tmp_path, Bars())
    assert generator.asked
