"""Paraphrases and near-opposites made by rule."""

from __future__ import annotations

from collections import Counter

import pytest

from rag_lab.experiment.held_out_pairs import bare, exchanged, made, negated, renumbered, reordered

TEXTS = ["Is aspirin safe for 12 children?", "Does zinc cure a cold", "aspirin and zinc without food"]


def test_paraphrases_by_hand() -> None:
    assert reordered("Is aspirin safe for children?") == "safe for children Is aspirin"
    assert bare("What is the dose of zinc for a child?") == "dose zinc child?"
    assert bare("Why is zinc not safe") == "zinc not safe" and bare("what is it") is None


@pytest.mark.parametrize(
    ("text", "opposite"),
    [
        ("Is zinc safe", "Is not zinc safe"),
        ("zinc is not safe", "zinc is safe"),
        ("zinc isn't safe", "zinc is safe"),
        ("tea without milk", "tea with milk"),
        ("zinc dose", None),
    ],
)
def test_negations_by_hand(text: str, opposite: str | None) -> None:
    assert negated(text) == opposite


def test_numbers_and_rarest_words_by_hand() -> None:
    assert renumbered("vitamin b12 for 9 days") == "vitamin b13 for 9 days" and renumbered("zinc") is None
    asked = Counter({"aspirin": 2, "zinc": 2, "cold": 1, "food": 1})
    assert exchanged("zinc for a cold", "aspirin with food", asked) == "zinc for a food"
    assert exchanged("what is it", "zinc", asked) is None and exchanged("a cold", "the cold", asked) is None


def test_all_rules_over_a_collection() -> None:
    found = made(TEXTS, 3)
    assert all(one.text != TEXTS[one.source] for one in found)
    kinds = {kind: {one.source for one in found if one.kind == kind} for kind in {one.kind for one in found}}
    assert kinds == {
        "capitals": {0, 1, 2}, "word order": {0, 1, 2}, "function words": {0, 1, 2},
        "negation": {0, 1, 2}, "number": {0}, "rarest word": {0, 1, 2},
    }  # fmt: skip
    assert {one.kind for one in found if one.same} == {"capitals", "word order", "function words"}
    assert {one.source for one in made(TEXTS, 2)} == {0, 2}
