"""What a model is asked, and what its answer says: the instruction is `prompt.txt` beside this module.

A request is the instruction, the passages numbered from 1 and the question. In an answer, `[2]` or `[1, 3]` after
a sentence cites passages by number; numbers of no passage are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rag_lab.encoder import sentences
from rag_lab.types import Answer, Passage, Sentence, Usage

REFUSAL = "Not in the evidence."
MOST_REFUSING_WORDS = 12  # models put words of their own around a refusal; a longer text says more than that
MARK = re.compile(r"\s*\[\s*\d+(?:\s*[,;]\s*\d+)*\s*\]")


@cache
def instruction() -> str:
    """The text of prompt.txt."""
    return Path(__file__).with_name("prompt.txt").read_text(encoding="utf-8").strip()


def mark(number: int) -> str:
    """How a passage is numbered and cited, from 1."""
    return f"[{number}]"


def shown(number: int, passage: Passage) -> str:
    """One passage of the prompt."""
    return f"{mark(number)} {passage.indexed_text}"


def request(question: str, evidence: Sequence[Passage]) -> str:
    """What the user says: the passages, best first, then the question."""
    passages = "\n".join(shown(number, passage) for number, passage in enumerate(evidence, 1))
    return f"Passages:\n{passages}\n\nQuestion: {question}"


def messages(question: str, evidence: Sequence[Passage]) -> list[dict[str, str]]:
    """The conversation, as chat models take it."""
    return [
        {"role": "system", "content": instruction()},
        {"role": "user", "content": request(question, evidence)},
    ]


def read(said: str, evidence: Sequence[Passage], usage: Usage) -> Answer:
    """A model's words as an answer: refused, or sentences with the ids that they cite, marks taken out."""
    if not said.strip() or _refuses(said):
        return Answer(REFUSAL, (), refused=True, usage=usage)
    # A mark after the full stop belongs to the sentence before it: "so. [1]" is read as "so [1]."
    moved = re.sub(rf"([.!?])({MARK.pattern}(?:{MARK.pattern})*)", r"\2\1", said.strip())
    found = []
    for part in sentences.split(moved):
        numbers = [int(number) for mark in MARK.finditer(part) for number in re.findall(r"\d+", mark.group())]
        cited = tuple(dict.fromkeys(evidence[one - 1].id for one in numbers if 1 <= one <= len(evidence)))
        found.append(Sentence(MARK.sub("", part).strip(), cited))
    citations = tuple(dict.fromkeys(one for sentence in found for one in sentence.citations))
    return Answer(" ".join(sentence.text for sentence in found), citations, tuple(found), usage=usage)


def _refuses(said: str) -> bool:
    return len(said.split()) <= MOST_REFUSING_WORDS and REFUSAL.rstrip(".").casefold() in said.casefold()
