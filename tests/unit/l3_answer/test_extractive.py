"""The extractive generator: worked cases, against a plain loop, and properties of many sets at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bags
import numpy as np
import pytest
import yaml
from doubles import Bars
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab import wiring
from rag_lab.encoder import sentences
from rag_lab.l3_answer import pool, prompt
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Answer, Passage, Sentence

NODE = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "conf" / "generator" / "extractive.yaml").read_text(encoding="utf-8")
)
ALWAYS = {
    "cosine": 1.0,
    "covered": 0.0,
    "together": 0.0,
    "named": 0.0,
    "agrees": 0.0,
    "bias": 0.0,
    "threshold": 0.0,
}
COVERED = ALWAYS | {"cosine": 0.0, "covered": 20.0, "bias": -11.0, "threshold": 0.5}  # above 0.55 of the words
PLAIN = {
    "sentences": 2, "max_tokens": 100, "competing": 32, "lexical": 0.3, "balance": 0.8, "floor": 0.3,
    "refusal": ALWAYS,
}  # fmt: skip
SLEEP = Passage("sleep", "Sleep", "Deep sleep stores memories. Naps rest the heart.", 0)
BONDS = Passage("bonds", "", "Bonds pay interest. Deep pockets help. Interest on bonds is taxed.", 1)
TWIN = Passage("twin", "", "Interest on bonds is taxed. Nothing else is.", 2)


def generator(**changes: Any) -> Any:
    node = {"_target_": NODE["_target_"]} | PLAIN | changes
    return wiring.build(node, "generator").open(Tools(bags.shelf(), Bars()))


def texts(answer: Answer) -> list[str]:
    return [sentence.text for sentence in answer.sentences]


def test_the_sentence_that_answers_is_said_and_cited() -> None:
    found = generator(sentences=1).answer("What stores memories?", [BONDS, SLEEP])
    assert found.text == "Deep sleep stores memories."
    assert found.sentences == (Sentence(found.text, ("sleep",)),) and found.citations == ("sleep",)
    assert not found.refused and found.confidence is not None


def test_every_passage_that_holds_a_sentence_is_cited() -> None:
    found = generator(sentences=1).answer("Is interest on bonds taxed?", [TWIN, SLEEP, BONDS])
    assert found.sentences == (Sentence("Interest on bonds is taxed.", ("twin", "bonds")),)


def test_what_says_the_same_again_is_left_out() -> None:
    evidence = [Passage("a", "", "Bonds pay interest yearly. Bonds pay yearly interest. Bonds are taxed.", 0)]
    question, first = "Do bonds pay interest yearly?", "Bonds pay interest yearly."
    assert texts(generator(balance=1.0).answer(question, evidence)) == [first, "Bonds pay yearly interest."]
    assert texts(generator(balance=0.3).answer(question, evidence)) == [first, "Bonds are taxed."]


def test_the_budget_of_tokens_is_kept() -> None:
    question = "What is interest on bonds?"
    assert texts(generator(max_tokens=3).answer(question, [BONDS])) == ["Bonds pay interest."]
    assert generator(max_tokens=2).answer(question, [BONDS]).refused


def test_evidence_that_does_not_speak_of_it_is_refused() -> None:
    one = generator(refusal=COVERED)
    assert not one.answer("What stores memories?", [SLEEP]).refused
    silent = one.answer("Which elephants migrate through Botswana?", [SLEEP, BONDS])
    assert silent.text == prompt.REFUSAL and silent.refused and silent.citations == silent.sentences == ()
    assert silent.confidence is not None and silent.confidence < 0.5
    assert silent.usage is not None and silent.usage.calls == 1  # a model would have been asked, and have said so


@pytest.mark.parametrize("evidence", [[], [Passage("p", "", "...", 0)]])
def test_without_a_sentence_there_is_a_refusal(evidence: list[Passage]) -> None:
    found = generator().answer("Why?", evidence)
    assert found.refused and found.confidence == 0
    assert found.usage is not None and found.usage.calls == len(evidence)


def test_the_bill_is_the_prompt_s_and_the_answer_s() -> None:
    found = generator().answer("What stores memories?", [SLEEP, BONDS])
    asked = [one["content"] for one in prompt.messages("What stores memories?", [SLEEP, BONDS])]
    assert found.usage == (1, int(bags.count(asked).sum()), int(bags.count([found.text])[0]), False)


WORDS = ["sleep", "bonds", "rivers", "taxes", "memory", "light", "doctors", "engines"]
word = st.sampled_from(WORDS)
passage = st.lists(
    st.lists(word, min_size=2, max_size=4).map(lambda some: " ".join(some).capitalize() + "."), max_size=5
)
corpora = st.lists(passage.map(" ".join), min_size=1, max_size=6)


def corpus(held: Sequence[str]) -> list[Passage]:
    return [Passage(f"p{number}", "", text, number) for number, text in enumerate(held)]


@settings(max_examples=25, deadline=None)
@given(corpora, st.lists(word, min_size=1, max_size=3), st.data())
def test_many_sets_at_once_are_answered_as_each_alone_and_in_any_order(
    held: list[str], asked: list[str], data: st.DataObject
) -> None:
    passages, question = corpus(held), " ".join(asked) + "?"
    sets = data.draw(st.lists(st.permutations(passages).map(lambda some: some[: len(some) // 2 + 1]), max_size=4))
    one = generator()
    together = one.answer_all([question, *[question] * len(sets), "Why rivers?"], [passages, *sets, passages])
    for answer, evidence in zip(together[1:-1], sets, strict=True):
        assert answer == one.answer(question, evidence)
        turned = one.answer(question, evidence[::-1])
        assert turned.text == answer.text and set(turned.citations) == set(answer.citations)
    assert together[-1] == one.answer("Why rivers?", passages)


@settings(max_examples=25, deadline=None)
@given(corpora, st.lists(word, min_size=1, max_size=3))
def test_what_is_said_stands_in_what_is_cited(held: list[str], asked: list[str]) -> None:
    passages = corpus(held)
    found = generator().answer(" ".join(asked) + "?", passages)
    assert len(found.sentences) <= 2 and len(set(texts(found))) == len(found.sentences)
    for sentence in found.sentences:
        holders = [one.id for one in passages if sentence.text in sentences.split(one.text)]
        assert list(sentence.citations) == holders


@settings(max_examples=25, deadline=None)
@given(corpora, st.lists(word, min_size=1, max_size=3))
def test_the_first_sentence_is_the_most_relevant_by_a_plain_loop(held: list[str], asked: list[str]) -> None:
    question, parts = " ".join(asked) + "?", [part for text in held for part in sentences.split(text)]
    found = generator(floor=0.0).answer(question, corpus(held))
    if not parts:
        assert found.refused
        return
    [wanted] = bags.encode([question])
    stems = {number for number, _ in sentences.content(question)}
    value = {
        part: 0.7 * float(bags.encode([part])[0] @ wanted)
        + 0.3 * len(stems & {number for number, _ in sentences.content(part)}) / len(stems)
        for part in parts
    }
    assert value[found.sentences[0].text] == pytest.approx(max(value.values()), abs=1e-5)


def test_one_program_serves_all_settings_and_sets_of_one_size() -> None:
    generator().answer("What stores memories?", [SLEEP])
    before = pool._run._cache_size()
    generator(lexical=0.9, balance=0.1, floor=0.0, max_tokens=7, refusal=COVERED).answer("Why bonds?", [BONDS, TWIN])
    assert pool._run._cache_size() == before


def test_the_configuration_builds_and_answers() -> None:
    built = wiring.build(NODE, "generator").open(Tools(bags.shelf(), Bars()))
    assert built.answer("What stores memories?", [SLEEP]).usage is not None
    assert not built.order_matters
    assert np.isfinite([*NODE["refusal"].values()]).all()
