"""What customers of the fictional bank want, taken from instructions to an actor who plays them.

Source: inspect-evals, `banking_knowledge/tasks.json` (from τ²-bench): 97 tasks with
`user_scenario.instructions` for the actor and `required_documents`, the documents that the bank's agent
needs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from rag_lab.data.packaged.parts import Question, flat

MEMBER = "inspect_evals/tau2/data/domains/banking_knowledge/tasks.json"

# The words that open the call, in quotes, over one or more lines.
OPENING = re.compile(
    r'(?:\bopening\b(?! statement)|\bstart naturally\b)[^"]*?"(.+?)"(?=\s|$)', re.IGNORECASE | re.DOTALL
)
START = re.compile(r"^\W*Start by (?:saying|mentioning) (?:that )?(.+)$", re.MULTILINE)
NEED = re.compile(r"^You're looking for .+$", re.MULTILINE)
GREETING = re.compile(r"(?:hi|hello|hey)(?: there)?[,!.]\s*", re.IGNORECASE)
# Said to the actor, not by the customer.
STAGE = re.compile(r"\bthe agent\b|\bupfront\b|\bDO NOT\b|\basked\b|\bcustomer service\b|\bend the conversation\b")
BULLET = re.compile(r"^\s*- +", re.MULTILINE)
ASIDE = re.compile(r"\s*\(do not mention[^)]*\)|: make this [^.]*(?=\.)", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[a-z]\.)(?=[A-Z])")  # the space is missing here and there
# From "you" to "I", in this order; "gives you" is the one object among them.
FIRST_PERSON = (
    (r"\b(gives|offers) you\b", r"\1 me"),
    (r"\byou're\b", "I'm"),
    (r"\byou are\b", "I am"),
    (r"\byour\b", "my"),
    (r"\byou\b", "I"),
    (r"\bavailable to her\b", "available to me"),
)


def need(instructions: str) -> str:
    """What the customer asks for, in the first person and without stage directions; "" if none is found.

    The quoted opening of the call where there is one, else what the actor is to start by saying, else the
    paragraph that says what the customer is looking for.
    """
    opening = OPENING.search(instructions)
    if opening:
        said = BULLET.sub("", opening[1])
    else:
        told = START.search(instructions) or NEED.search(instructions)
        sentences = SENTENCE.split(ASIDE.sub("", told[told.lastindex or 0])) if told else []
        said = " ".join(map(first_person, sentences))
    sentences = SENTENCE.split(GREETING.sub("", flat(said), count=1))
    kept = " ".join(sentence for sentence in sentences if not STAGE.search(sentence))
    return kept[:1].upper() + kept[1:]


def first_person(text: str) -> str:
    """One sentence, with the customer as its speaker."""
    for pattern, replacement in FIRST_PERSON:
        text = re.sub(pattern, replacement, text, flags=re.IGNORECASE)
    return text[:1].upper() + text[1:]


def questions(content: bytes, held: Mapping[str, tuple[str, ...]]) -> tuple[Question, ...]:
    """One question a scenario, relevant to every text that `held` has of the documents it requires."""
    return tuple(
        Question(
            f"bank-scenario-{int(task['id'].removeprefix('task_'))}",
            need(task["user_scenario"]["instructions"]),
            tuple(text for document in task["required_documents"] for text in held[document]),
        )
        for task in json.loads(content)
    )
