"""The lead sentence: worked cases."""

from __future__ import annotations

import pytest

from rag_lab.l3_answer import lead
from rag_lab.types import Answer, Passage, Sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Sleep helps. It also heals.", "Sleep helps."),
        ("Does it? Yes.", "Does it?"),
        ("About 3.5 mg a day is enough. More is not.", "About 3.5 mg a day is enough."),
        ("  One sentence without an end  ", "One sentence without an end"),
        ("See fig. 2 for it. Then stop.", "See fig. 2 for it."),
    ],
)
def test_the_first_sentence(text: str, sentence: str) -> None:
    assert lead.build().answer("?", [Passage("p", "", text, 0)]) == Answer(
        sentence, ("p",), (Sentence(sentence, ("p",)),)
    )


def test_only_the_best_passage_is_cited() -> None:
    evidence = [Passage("a", "", "First. Second.", 0), Passage("b", "", "Third.", 1)]
    assert lead.build().answer("?", evidence).citations == ("a",)


def test_without_evidence_there_is_no_answer() -> None:
    assert lead.build().answer("?", []) == Answer("", ())


def test_many_at_once_and_one_by_one_are_the_same() -> None:
    evidence = [[Passage("a", "", "First. Second.", 0)], [], [Passage("b", "", "...", 1)]]
    generator = lead.build()
    assert generator.answer_all(["?"] * 3, evidence) == [generator.answer("?", each) for each in evidence]
    assert generator.answer("?", evidence[2]) == Answer("", ())
