"""Answers cut from the evidence: the sentences that answer, word for word, each with the passages that hold it.

Sentences compete by similarity to the question and by the words that they share with it, against redundancy and
within a budget of tokens (`kernels.extract`). Where the signs that the evidence speaks of what is asked
(`kernels.support`, judged by a head calibrated on train queries) are too weak, the answer is that it is not in the
evidence. The order of the passages does not change what is said.

The generator stands in for a model: its usage is the prompt that a model would have been sent, and what it said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.kernels.extract import Taste
from rag_lab.kernels.support import Head
from rag_lab.l3_answer import pool, prompt
from rag_lab.l3_answer.bill import Bill
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Answer, Passage, Sentence

Share = Annotated[float, Field(ge=0, le=1)]


class Extractive(NamedTuple):
    """The generator stage's settings; see conf/generator/extractive.yaml."""

    sentences: int
    max_tokens: int
    competing: int
    lexical: float
    balance: float
    floor: float
    refusal: Head

    def open(self, tools: Tools) -> Open:
        """The generator at work."""
        return Open(self, tools)


class Open:
    """The generator at work."""

    order_matters = False

    def __init__(self, settings: Extractive, tools: Tools) -> None:
        self._settings, self._shelf, self._bill = settings, tools.shelf, Bill(tools.shelf.count)

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """One answer."""
        return self.answer_all([question], [evidence])[0]

    def answer_all(self, questions: Sequence[str], evidence: Sequence[Sequence[Passage]]) -> list[Answer]:
        """Many answers, in order; all sets of evidence of one question are judged together."""
        distinct = list(dict.fromkeys(passage for passages in evidence for passage in passages))
        rows = dict(zip(distinct, self._shelf.passages(distinct), strict=True))
        held = {passage: set(its.tolist()) for passage, its in rows.items()}
        said = [Answer(prompt.REFUSAL, (), refused=True, confidence=0.0)] * len(questions)
        for one, found in self._judge(pool.gather(questions, evidence, rows)):
            for case, place, answerable in zip(one.cases, found.place, found.answerable.tolist(), strict=True):
                rows_chosen = (
                    one.rows[place[place >= 0]].tolist() if answerable >= self._settings.refusal.threshold else []
                )
                said[case] = self._cited(rows_chosen, evidence[case], held)._replace(confidence=answerable)
        usages = self._bill.usage(questions, evidence, [answer.text for answer in said])
        return [answer._replace(usage=usage) for answer, usage in zip(said, usages, strict=True)]

    def _judge(self, pools: Iterator[pool.Pool]) -> Iterator[tuple[pool.Pool, pool.Found]]:
        its = self._settings
        taste = Taste(its.lexical, its.balance, its.floor, its.max_tokens)
        return pool.judge(self._shelf, pools, taste, its.refusal, its.competing, its.sentences)

    def _cited(self, chosen: Sequence[int], evidence: Sequence[Passage], held: Mapping[Passage, set[int]]) -> Answer:
        """The chosen sentences, each citing every passage shown that holds it; without any, a refusal."""
        if not chosen:
            return Answer(prompt.REFUSAL, (), refused=True)
        sentences = tuple(
            Sentence(self._shelf.said[row], tuple(one.id for one in evidence if row in held[one])) for row in chosen
        )
        citations = tuple(dict.fromkeys(one for sentence in sentences for one in sentence.citations))
        return Answer(" ".join(sentence.text for sentence in sentences), citations, sentences)


def build(
    *,
    sentences: Annotated[int, Field(ge=1, le=20)],
    max_tokens: Annotated[int, Field(ge=1)],
    competing: Annotated[int, Field(ge=1)],
    lexical: Share,
    balance: Share,
    floor: Share,
    refusal: Head,
) -> Extractive:
    """The generator. sentences, max_tokens: most of an answer; competing: sentences that take part, the most
    relevant; lexical: weight of shared words in relevance, the rest being cosine; balance: λ of relevance against
    redundancy; floor: least relevance of a sentence, as a share of the best one's; refusal: when to answer that
    the evidence does not hold it.
    """
    return Extractive(sentences, max_tokens, competing, lexical, balance, floor, refusal)
