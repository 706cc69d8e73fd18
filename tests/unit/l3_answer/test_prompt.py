"""What a model is asked, and how its words are read: worked cases."""

from __future__ import annotations

import pytest

from rag_lab.l3_answer import prompt
from rag_lab.types import Answer, Passage, Sentence, Usage

EVIDENCE = [Passage("a", "Sleep", "It heals.", 0), Passage("b", "", "Rest helps.", 1), Passage("c", "", "So.", 2)]
USAGE = Usage(1, 100, 10, True)


def test_the_request_numbers_the_passages_and_ends_with_the_question() -> None:
    system, user = prompt.messages("Why sleep?", EVIDENCE)
    assert system == {"role": "system", "content": prompt.instruction()}
    assert user["role"] == "user"
    assert user["content"] == ("Passages:\n[1] Sleep It heals.\n[2] Rest helps.\n[3] So.\n\nQuestion: Why sleep?")


def test_the_instruction_asks_for_marks_and_for_the_refusal_that_is_understood() -> None:
    assert "[1]" in prompt.instruction() and prompt.REFUSAL in prompt.instruction()


@pytest.mark.parametrize(
    ("said", "sentences"),
    [
        ("It heals [1]. Rest helps. [2, 3]", [("It heals.", "a"), ("Rest helps.", "bc")]),
        ("It heals.[1][2] Rest helps [2].", [("It heals.", "ab"), ("Rest helps.", "b")]),
        ("It heals. Rest helps [2].", [("It heals.", ""), ("Rest helps.", "b")]),
        ("It heals [7]. Rest helps [0; 3].", [("It heals.", ""), ("Rest helps.", "c")]),
        ("No marks at all.", [("No marks at all.", "")]),
        ("[1] It heals. [2] Rest helps.", [("It heals.", "a"), ("Rest helps.", "b")]),
        ("It heals [1].\n[2] Rest helps.", [("It heals.", "a"), ("Rest helps.", "b")]),
        ("It heals.\n[1]\nRest helps.\n[2]", [("It heals.", "a"), ("Rest helps.", "b")]),
        ("In 1943 [1], or so [2]. Later [1].", [("In 1943, or so.", "ab"), ("Later.", "a")]),
    ],
)
def test_marks_become_citations(said: str, sentences: list[tuple[str, str]]) -> None:
    found = prompt.read(said, EVIDENCE, USAGE)
    assert [(one.text, "".join(one.citations)) for one in found.sentences] == sentences
    assert found.text == " ".join(text for text, _ in sentences)
    assert set(found.citations) == set("".join(cited for _, cited in sentences))
    assert not found.refused and found.usage == USAGE


@pytest.mark.parametrize(
    "said",
    [
        "Not in the evidence.",
        "  not in the evidence",
        "I am sorry, this is not in the evidence.",
        "",
        " \n",
        "[1].",
    ],
)
def test_a_refusal_is_understood(said: str) -> None:
    assert prompt.read(said, EVIDENCE, USAGE) == Answer(prompt.REFUSAL, (), refused=True, usage=USAGE)


def test_an_answer_that_only_mentions_the_words_is_no_refusal() -> None:
    said = "Courts ask whether a fact is not in the evidence before they let a jury hear about it [1]."
    assert not prompt.read(said, EVIDENCE, USAGE).refused


def test_a_sentence_can_be_cited_by_hand() -> None:
    assert prompt.read("It heals [1].", EVIDENCE, USAGE).sentences == (Sentence("It heals.", ("a",)),)
