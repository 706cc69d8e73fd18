"""How answers are judged: worked cases, what is absent stays NaN, and properties of the parts."""

from __future__ import annotations

import math
from pathlib import Path

import bags
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.kernels.support import Head
from rag_lab.metrics import answer as metrics
from rag_lab.metrics.answer import Asked, Grades, Quality, Weights, coverage, diversity, grade, means
from rag_lab.types import Answer, Passage, Sentence

HEAD = Head(cosine=0.0, covered=10.0, together=0.0, named=0.0, agrees=0.0, bias=-6.5, threshold=0.5)  # covered ≥ 0.65
QUALITY = Quality(Weights(0.5, 0.3, 0.2), HEAD)
SLEEP = Passage("sleep", "", "Deep sleep helps the brain store memories. Naps rest the tired heart.", 0)
BONDS = Passage("bonds", "", "Government bonds pay interest twice every year.", 1)
ASKED = Asked("What helps the brain?", (SLEEP, BONDS), "Deep sleep stores memories", True, (SLEEP,))
COLUMNS = Grades._fields


def said(*parts: tuple[str, tuple[str, ...]]) -> Answer:
    sentences = tuple(Sentence(text, cited) for text, cited in parts)
    cited = tuple(dict.fromkeys(one for sentence in sentences for one in sentence.citations))
    return Answer(" ".join(one.text for one in sentences), cited, sentences)


REFUSED = Answer("Not in the evidence.", (), refused=True)
VERBATIM = said(("Deep sleep helps the brain store memories.", ("sleep",)))
MIXED = said(
    ("Deep sleep helps brain memories store well.", ("sleep", "bonds")),  # five of six words: supported
    ("Government bonds pay interest twice every year.", ("sleep",)),  # verbatim, but the wrong passage is cited
    ("Elephants migrate through northern Botswana.", ()),  # from nowhere
)


def judged(asked: Asked, answer: Answer) -> dict[str, float]:
    grades = grade(QUALITY, bags.shelf(), [asked], [answer])
    return {name: float(column[0]) for name, column in zip(COLUMNS, grades, strict=True)}


def test_a_verbatim_answer() -> None:
    found = judged(ASKED, VERBATIM)
    ease = found["readability"]
    assert {name: found[name] for name in COLUMNS[:4]} == {
        "groundedness": 1, "coverage": 1, "citation_recall": 1, "citation_precision": 1,
    }  # fmt: skip
    assert found["judged_support"] == 1 and found["refused"] == 0 and found["refusal_correct"] == 1
    assert found["quality"] == pytest.approx(0.5 + 0.3 + 0.2 * min(max(ease, 0), 100) / 100)


def test_a_mixed_answer_by_hand() -> None:
    """Two of three sentences are in the evidence; one is by its citations; of three citations one is right."""
    found = judged(ASKED, MIXED)
    assert found["groundedness"] == pytest.approx(2 / 3)
    assert found["citation_recall"] == pytest.approx(1 / 3)
    assert found["citation_precision"] == pytest.approx(1 / 3)
    assert found["judged_support"] == pytest.approx(1 / 3)
    assert found["coverage"] == 1


@pytest.mark.parametrize(
    ("answerable", "answer", "quality"), [(True, REFUSED, 0), (False, REFUSED, 1), (False, VERBATIM, 0)]
)
def test_silence_is_judged_by_whether_it_is_right(answerable: bool, answer: Answer, quality: float) -> None:
    found = judged(ASKED._replace(answerable=answerable), answer)
    assert found["quality"] == found["refusal_correct"] == quality
    assert math.isnan(found["groundedness"]) == answer.refused


def test_a_refusal_grounds_nothing_and_covers_nothing() -> None:
    found = judged(ASKED, REFUSED)
    absent = {name for name, value in found.items() if math.isnan(value)}
    assert absent == {"groundedness", "citation_recall", "citation_precision", "readability", "judged_support"}
    assert found["coverage"] == 0 and found["refused"] == 1


def test_the_words_of_a_refusal_cover_nothing() -> None:
    assert judged(ASKED._replace(reference="The evidence"), REFUSED)["coverage"] == 0


def test_without_a_reference_there_is_no_coverage_and_no_quality() -> None:
    for reference in (None, "Yes.", ""):
        found = judged(ASKED._replace(reference=reference), VERBATIM)
        assert math.isnan(found["coverage"]) and math.isnan(found["quality"])
        assert found["groundedness"] == 1


def test_without_judgments_there_is_no_judged_support() -> None:
    assert math.isnan(judged(ASKED._replace(relevant=()), VERBATIM)["judged_support"])


def test_without_evidence_nothing_is_grounded() -> None:
    found = judged(ASKED._replace(evidence=()), VERBATIM)
    assert found["groundedness"] == found["citation_recall"] == 0
    assert math.isnan(found["citation_precision"])  # it cites what was not shown


def test_a_short_answer_is_read_with_its_question() -> None:
    """ "Memories" alone is in the passage; as an answer to another question it is not supported."""
    answer = said(("Memories", ("sleep",)))
    own = ASKED._replace(question="What does deep sleep help the brain store?")
    assert judged(own, answer)["groundedness"] == 1
    other = ASKED._replace(question="What do elephants in northern Botswana migrate through?")
    assert judged(other, answer)["groundedness"] == 0


def test_an_answer_that_does_not_cite_by_sentence_is_split_and_cites_with_each() -> None:
    text = "Deep sleep helps the brain store memories. Elephants migrate through northern Botswana."
    found = judged(ASKED, Answer(text, ("sleep",)))
    assert found["groundedness"] == found["citation_recall"] == found["citation_precision"] == 0.5


def test_many_answers_are_judged_as_each_alone() -> None:
    pairs = [(ASKED, VERBATIM), (ASKED, MIXED), (ASKED._replace(answerable=False), REFUSED), (ASKED, MIXED)]
    together = grade(QUALITY, bags.shelf(), *map(list, zip(*pairs, strict=True)))
    for row, (asked, answer) in enumerate(pairs):
        np.testing.assert_equal(
            {name: float(column[row]) for name, column in zip(COLUMNS, together, strict=True)},
            judged(asked, answer),
        )


def test_no_answers() -> None:
    assert all(column.shape == (0,) for column in grade(QUALITY, bags.shelf(), [], []))


# Coverage


def test_coverage_by_hand() -> None:
    assert coverage("Sleep stores memories", "Memories are stored.") == pytest.approx(2 / 3)
    assert coverage("France", "It was first published in France, by Hachette.") == 1
    assert coverage("France", "It was published.") == 0
    assert math.isnan(coverage("no", "No.")) and math.isnan(coverage(None, "No."))


words = st.lists(st.sampled_from(["ab", "Bc", "cd1", "the", "12", "de.", "no"]), max_size=8).map(" ".join)


@given(words, words)
def test_saying_more_never_covers_less(reference: str, text: str) -> None:
    some, more = coverage(reference, text), coverage(reference, f"{text} {reference}")
    assert math.isnan(some) == math.isnan(more)
    assert math.isnan(some) or 0 <= some <= more == 1


# Over many answers


def test_means_leave_out_what_is_absent_and_say_how_many_counted() -> None:
    grades = grade(QUALITY, bags.shelf(), [ASKED] * 3, [VERBATIM, MIXED, REFUSED])
    found = means(grades)
    assert found["answer/groundedness"] == pytest.approx((1 + 2 / 3) / 2) and found["answer/n_scored"] == 2
    assert found["answer/refused"] == pytest.approx(1 / 3) and found["answer/n_refused"] == 3
    assert all(math.isfinite(value) for value in found.values())
    silent = means(grade(QUALITY, bags.shelf(), [ASKED], [REFUSED]))
    assert "answer/groundedness" not in silent and silent["answer/n_scored"] == 0


def test_diversity_of_answers_by_hand() -> None:
    assert diversity([VERBATIM, VERBATIM]) == 0.5
    assert diversity([VERBATIM, MIXED]) == 1
    assert diversity([VERBATIM, MIXED, MIXED, REFUSED]) == pytest.approx(4 / 7)
    assert math.isnan(diversity([REFUSED])) and math.isnan(diversity([]))


# Configuration


def test_the_frozen_weights() -> None:
    path = Path(__file__).resolve().parents[3] / "conf" / "quality" / "frozen.yaml"
    built = wiring.build(yaml.safe_load(path.read_text(encoding="utf-8")), "quality")
    assert built.weights == (0.4, 0.4, 0.2)
    assert 0 < built.support.threshold < 1


def test_weights_that_do_not_sum_to_one_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"groundedness 0\.5, coverage 0\.4, readability 0\.2, together 1\.1"):
        metrics.build(weights=Weights(0.5, 0.4, 0.2), support=HEAD)
