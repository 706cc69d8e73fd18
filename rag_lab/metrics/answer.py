"""How good answers are, without a model that judges: grounded, covering, cited, readable, rightly refused.

groundedness        share of an answer's sentences that the evidence shown supports (`metrics.support`)
coverage            share of the reference answer's content words that the answer holds (ROUGE-1 recall, Lin 2004, on
                    stems without function words)
citation recall     share of sentences that the passages they cite support together; one without citation is not
citation precision  share of citations whose passage supports its sentence by itself (both after ALCE, Gao et al.
                    2023, EMNLP, which also forgives a citation that is needed beside others)
readability         Flesch's reading ease (`metrics.readability`)
judged support      share of sentences that a passage judged relevant supports: what retrieval puts at risk

Quality is a weighted mean of groundedness, coverage and readability as a share. Silence is perfectly grounded, so
a refusal has none of the parts: its quality is 1 where the question has no answer and 0 where it has one, and an
answer to a question without an answer has 0. What cannot be measured is NaN, never 0: groundedness of a refusal,
coverage without a reference (or with one of function words alone, "yes"), and then quality.

Shapes: N answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rag_lab.encoder import sentences
from rag_lab.encoder.shelf import Shelf
from rag_lab.errors import ConfigError
from rag_lab.kernels.support import Head
from rag_lab.metrics import readability
from rag_lab.metrics.verdicts import Verdicts
from rag_lab.types import Answer, Passage, Sentence

NAN = float("nan")


class Weights(NamedTuple):
    """Of the parts of quality; they sum to 1."""

    groundedness: Annotated[float, Field(ge=0, le=1)]
    coverage: Annotated[float, Field(ge=0, le=1)]
    readability: Annotated[float, Field(ge=0, le=1)]


class Quality(NamedTuple):
    """How answers are judged; see conf/quality/frozen.yaml."""

    weights: Weights
    support: Head


class Asked(NamedTuple):
    """What an answer is held against.

    evidence: what was shown for it; reference: a right answer, or None; answerable: whether the question has an
    answer in its collection; relevant: the passages judged relevant, shown or not.
    """

    question: str
    evidence: tuple[Passage, ...]
    reference: str | None
    answerable: bool
    relevant: tuple[Passage, ...]


class Grades(NamedTuple):
    """Of N answers, each NaN where there is nothing to measure; readability in Flesch's units, the rest in [0, 1].
    refused: 1 or 0.
    """

    groundedness: Float[np.ndarray, " N"]
    coverage: Float[np.ndarray, " N"]
    citation_recall: Float[np.ndarray, " N"]
    citation_precision: Float[np.ndarray, " N"]
    readability: Float[np.ndarray, " N"]
    judged_support: Float[np.ndarray, " N"]
    refused: Float[np.ndarray, " N"]
    refusal_correct: Float[np.ndarray, " N"]
    quality: Float[np.ndarray, " N"]


def grade(quality: Quality, shelf: Shelf, asked: Sequence[Asked], answers: Sequence[Answer]) -> Grades:
    """Judge every answer; equal sentences beside equal passages are judged once."""
    said = [_said(one, answer) for one, answer in zip(asked, answers, strict=True)]
    verdicts = Verdicts(quality.support, shelf)
    for one, claims in zip(asked, said, strict=True):
        for sentence, cited in claims:
            for grounds in (one.evidence, one.relevant, cited, *((each,) for each in cited)):
                verdicts.ask(one.question, sentence, grounds)
    verdicts.settle()
    known: dict[tuple[str | None, str], float] = {}
    rows = []
    for one, answer, claims in zip(asked, answers, said, strict=True):
        pair = one.reference, "" if answer.refused else answer.text
        if pair not in known:
            known[pair] = coverage(*pair)
        rows.append(_judged(quality.weights, one, answer, claims, verdicts, known[pair]))
    return Grades(*np.array(rows, float).reshape(len(rows), len(Grades._fields)).T)


def coverage(reference: str | None, said: str) -> float:
    """Share of the reference's distinct content words that are said; NaN where it has none."""
    wanted = {word for part in sentences.split(reference or "") for word, _ in sentences.content(part)}
    given = {word for part in sentences.split(said) for word, _ in sentences.content(part)}
    return len(wanted & given) / len(wanted) if wanted else NAN


def means(grades: Grades) -> dict[str, float]:
    """The metrics `answer/…`: the mean of what could be measured, left out where nothing could; `answer/n_scored`
    counts the answers with groundedness, `answer/n_<part>` those with any other part.
    """
    found = {}
    for part, values in grades._asdict().items():
        scored = values[np.isfinite(values)]
        found["answer/n_scored" if part == "groundedness" else f"answer/n_{part}"] = float(len(scored))
        if len(scored):
            found[f"answer/{part}"] = float(scored.mean())
    return found


def diversity(answers: Sequence[Answer]) -> float:
    """Of the answers to one question, by many actions: distinct sentences as a share of all that are said; NaN
    where all are refused. 1 where no two answers share a sentence; 1/A where A answers say the same.
    """
    said = [one.text for answer in answers for one in answer.sentences if not answer.refused]
    return len(set(said)) / len(said) if said else NAN


Said = list[tuple[str, tuple[Passage, ...]]]


def _said(asked: Asked, answer: Answer) -> Said:
    """The sentences of an answer, each with the shown passages that it cites; none of a refusal."""
    if answer.refused:
        return []
    shown = {passage.id: passage for passage in asked.evidence}
    parts = answer.sentences or [Sentence(text, answer.citations) for text in sentences.split(answer.text)]
    return [(one.text, tuple(shown[each] for each in one.citations if each in shown)) for one in parts]


def _judged(
    weights: Weights, asked: Asked, answer: Answer, said: Said, verdicts: Verdicts, covered: float
) -> list[float]:
    """One answer's row of `Grades`."""

    def share(flags: list[bool]) -> float:
        return sum(flags) / len(flags) if flags else NAN

    def supported(sentence: str, grounds: tuple[Passage, ...]) -> bool:
        return verdicts.supported(asked.question, sentence, grounds)

    right = answer.refused != asked.answerable
    grounded = share([supported(text, asked.evidence) for text, _ in said])
    ease = NAN if answer.refused else readability.reading_ease([text for text, _ in said])
    parts = (grounded, covered, readability.share(ease))
    weighted = sum(weight * part for weight, part in zip(weights, parts, strict=True))
    return [
        grounded,
        covered if asked.answerable else NAN,
        share([supported(text, cited) for text, cited in said]),
        share([supported(text, (each,)) for text, cited in said for each in cited]),
        ease,
        share([supported(text, asked.relevant) for text, _ in said]) if asked.relevant else NAN,
        float(answer.refused),
        float(right),
        weighted if asked.answerable and not answer.refused else float(right),
    ]


def build(*, weights: Weights, support: Head) -> Quality:
    """How answers are judged. weights: of the parts of quality; support: the calibrated judgment of a claim's
    signs.

    ConfigError where the weights do not sum to 1.
    """
    if abs(sum(weights) - 1) > 1e-9:
        given = ", ".join(f"{name} {value:g}" for name, value in weights._asdict().items())
        raise ConfigError(f"quality.weights: given {given}, together {sum(weights):g}; they must sum to 1")
    return Quality(weights, support)
