"""Questions that their passage answers, and look-alikes that it does not.

Source: OpenAI evals, `unsolvable_questions`: 300 rows, a system prompt and a user message
"Question: … Context: …", with the ideal "Solveable" or "Unsolveable". The texts read like SQuAD 2.0's.
"""

from __future__ import annotations

import json

from rag_lab.data.packaged.parts import Part, Question, Text, flat

MEMBER = "evals/registry/data/unsolvable_questions/samples.jsonl"
SOLVABLE = "Solveable"


def part(content: bytes) -> Part:
    """Every context a text; solvable questions with theirs as relevant, the others unanswerable."""
    texts, questions = [], []
    for line, sample in enumerate(content.decode().splitlines(), 1):
        if not sample.strip():
            continue
        record = json.loads(sample)
        question, _, context = record["input"][-1]["content"].partition("Context:")
        texts.append(Text(f"context-{line}", "", flat(context)))
        solvable = record["ideal"] == SOLVABLE
        questions.append(
            Question(
                f"{'solvable' if solvable else 'unsolvable'}-{line}",
                flat(question.removeprefix("Question:")),
                (f"context-{line}",) if solvable else (),
            )
        )
    return Part(tuple(texts), tuple(questions))
