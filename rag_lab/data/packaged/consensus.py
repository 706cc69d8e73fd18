"""Questions put to the scientific literature, with one-sentence findings from papers.

Source: OpenAI evals, `consensus_summary`: 362 rows, each a system prompt and a user message of five lines
"claim: …" and one line "question: …", with an ideal summary or "N-A" where the claims hold no answer.
"""

from __future__ import annotations

import json
import re
from typing import NamedTuple

from rag_lab.data.packaged.labels import label
from rag_lab.data.packaged.parts import Part, Question, Text, flat

MEMBER = "evals/registry/data/consensus_summary/samples.jsonl"
IDEAL = "Summary: "
NO_ANSWER = "N-A"
PREFIX = "consensus-"  # of a question's id


class Row(NamedTuple):
    """One row of the file: its line number, the question, its claims, and the answer where there is one."""

    line: int
    question: str
    claims: tuple[str, ...]
    answer: str | None


def parse(content: bytes) -> list[Row]:
    """The rows of the file, texts flattened."""
    rows = []
    for line, sample in enumerate(content.decode().splitlines(), 1):
        if not sample.strip():
            continue
        record = json.loads(sample)
        claims, _, question = record["input"][-1]["content"].rpartition("question:")
        answer = flat(record["ideal"].removeprefix(IDEAL))
        rows.append(
            Row(
                line,
                flat(question),
                tuple(flat(claim) for claim in re.split(r"^claim:", claims, flags=re.MULTILINE)[1:]),
                None if answer == NO_ANSWER else answer,
            )
        )
    return rows


def parts(content: bytes) -> dict[str, Part]:
    """One part per label (health, economics, other): every claim a text, every question once.

    A question's relevant texts are the claims of all its answered rows; its answer is the first one's. The
    claims of "N-A" rows stay as texts that look right and are not. A claim is named by the line and place of
    its first appearance in the file, so one that serves two labels bears one name.
    """
    names: dict[str, str] = {}
    texts: dict[str, dict[str, Text]] = {}
    questions: dict[str, list[Question]] = {}
    for row in parse(content):
        kind = label(row.question)
        for place, claim in enumerate(row.claims, 1):
            name = names.setdefault(claim, f"claim-{row.line}-{place}")
            texts.setdefault(kind, {})[name] = Text(name, "", claim)
        relevant = tuple(names[claim] for claim in row.claims) if row.answer is not None else ()
        questions.setdefault(kind, []).append(Question(f"{PREFIX}{row.line}", row.question, relevant, row.answer))
    return {kind: Part(tuple(texts[kind].values()), tuple(questions[kind])) for kind in texts}
