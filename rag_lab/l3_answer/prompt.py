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
NUMBER = re.compile(r"\d+")
MARK = re.compile(r"[ \t]*\[ *\d+(?: *[,;] *\d+)* *\]")
MARKED_END = re.compile(rf"([.!?])((?:{MARK.pattern})+)")


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
    text = said.strip()
    if not MARK.match(text):  # marks that do not lead sentences end them: "so. [1]" is read as "so [1]."
        text = MARKED_END.sub(r"\2\1", text)
    found: list[Sentence] = []
    for part in sentences.split(text):
        numbers = [int(number) for mark in MARK.finditer(part) for number in NUMBER.findall(mark.group())]
        cited = tuple(dict.fromkeys(evidence[one - 1].id for one in numbers if 1 <= one <= len(evidence)))
        bare = MARK.sub("", part).strip()
        if sentences.WORD.search(bare):
            found.append(Sentence(bare, cited))
        elif found:  # marks on a line of their own
            found[-1] = Sentence(found[-1].text, tuple(dict.fromkeys((*found[-1].citations, *cited))))
    if not found or _refuses(said):
        return Answer(REFUSAL, (), refused=True, usage=usage)
    citations = tuple(dict.fromkeys(one for sentence in found for one in sentence.citations))
    return Answer(" ".join(sentence.text for sentence in found), citations, tuple(found), usage=usage)


def _refuses(said: str) -> bool:
    return len(said.split()) <= MOST_REFUSING_WORDS and REFUSAL.rstrip(".").casefold() in said.casefold()
