"""What a model is asked, and what its answer says: the instruction is `prompt.txt` beside this module.

A request is the instruction, the passages numbered from 1 and the question. In an answer, `[2]` or `[1, 3]` after a
sentence cites passages by number; numbers of no passage are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from rag_lab.encoder import sentences
from rag_lab.types import Answer, Passage, Sentence, Usage

REFUSAL = "Not in the evidence."
# Models put their own words around a refusal; one that opens so, or says little else, is one.
REFUSED = re.compile(r"^\W*(?:i\W+(?:am|'m)?\s*sorry\W+)?not in the evidence\b", re.IGNORECASE)
MARK = re.compile(r"\s*\[((?:\d+\s*[,;]?\s*)+)\]")


@cache
def instruction() -> str:
    """The text of prompt.txt."""
    return Path(__file__).with_name("prompt.txt").read_text(encoding="utf-8").strip()


def shown(number: int, passage: Passage) -> str:
    """One passage of the prompt, numbered from 1."""
    return f"[{number}] {passage.indexed_text}"


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
    if not said.strip() or REFUSED.match(said):
        return Answer(REFUSAL, (), refused=True, usage=usage)
    found: list[Sentence] = []
    # A mark belongs to the sentence before it, wherever the full stop stands: "so [1]." and "so. [1]" are the same.
    moved = re.sub(r"((?:\s*\[[\d,;\s]+\])+)\s*([.!?]+)", r"\2\1", said.strip())
    for piece in re.split(r"(?<=\])\s*(?=[^\s\[])", moved):
        marks = [int(number) for mark in MARK.findall(piece) for number in re.findall(r"\d+", mark)]
        cited = tuple(dict.fromkeys(evidence[one - 1].id for one in marks if 1 <= one <= len(evidence)))
        parts = sentences.split(MARK.sub("", piece))
        # The marks at the end of several sentences are the last one's.
        found += [Sentence(part, cited if part is parts[-1] else ()) for part in parts]
    citations = tuple(dict.fromkeys(one for sentence in found for one in sentence.citations))
    return Answer(" ".join(sentence.text for sentence in found), citations, tuple(found), usage=usage)
