"""The bill of a prompt that was not sent: the sum of its parts is the whole, by the real tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from doubles import Bars

from rag_lab.encoder import wordpiece
from rag_lab.l3_answer import prompt
from rag_lab.l3_answer.bill import Bill
from rag_lab.types import Passage, Usage

EVIDENCE = [
    Passage("a", "Vitamin D", "It's made in the skin (by UV-B), isn't it?", 0),
    Passage("b", "", "- 5,000 IU a day\n- naïve dosing: don't.", 1),
    *(Passage(f"p{number}", "", f"Filler number {number}.", number) for number in range(2, 14)),
]


def count(texts: Sequence[str]) -> np.ndarray:
    return wordpiece.count_tokens(texts, Bars())


@pytest.mark.parametrize("shown", [1, 2, 14])
def test_the_parts_add_up_to_the_whole_prompt(shown: int) -> None:
    said = "It is made in the skin."
    [usage] = Bill(count).usage(["What's vitamin D?"], [EVIDENCE[:shown]], [said])
    whole = count([one["content"] for one in prompt.messages("What's vitamin D?", EVIDENCE[:shown])]).sum()
    assert usage == Usage(1, whole, count([said])[0], False)


def test_without_evidence_nothing_is_sent() -> None:
    assert Bill(count).usage(["Why?"], [[]], [prompt.REFUSAL]) == [Usage(0, 0, 0, False)]


def test_each_text_is_counted_once() -> None:
    asked: list[str] = []

    def remember(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return count(texts)

    bill = Bill(remember)
    for _ in range(2):
        bill.usage(["Why?", "How?"], [EVIDENCE[:2], EVIDENCE[1:3]], ["So.", "So."])
    assert len(asked) == len(set(asked))
