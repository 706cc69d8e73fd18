"""Sub-questions of many-hop questions, each with the Wikipedia article that answers it.

Source: FanOutQA, `fanout-final-dev.json`: 310 questions, each with a tree of sub-questions
(`decomposition`); the leaves name their evidence article and an answer (a string, number, truth value,
list or table).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from rag_lab.data.packaged.parts import Question, Text, flat

MEMBER = "fanoutqa/data/fanout-final-dev.json"
NO_SUBJECT = re.compile(r"(?:^|\s)'s\b")  # "What is 's website?": the name was lost at the source


def questions(content: bytes, articles: Mapping[str, Text]) -> tuple[Question, ...]:
    """The sub-questions whose evidence article is among `articles`, each relevant to that article."""
    return tuple(
        Question(
            f"fanout-{leaf['id']}",
            flat(leaf["question"]),
            (articles[leaf["evidence"]["title"]].id,),
            spoken(leaf["answer"]),
        )
        for leaf in walk(json.loads(content))
        if leaf.get("evidence") and leaf["evidence"]["title"] in articles
        if not NO_SUBJECT.search(leaf["question"])
    )


def walk(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every node of the trees, depth first."""
    for node in nodes:
        yield node
        yield from walk(node.get("decomposition") or [])


def spoken(answer: Any) -> str:
    """The answer as words: lists joined by semicolons, tables as "key: value", truth as yes or no."""
    match answer:
        case bool():
            return "yes" if answer else "no"
        case dict():
            return "; ".join(f"{key}: {spoken(value)}" for key, value in answer.items())
        case list():
            return "; ".join(map(spoken, answer))
        case _:
            return flat(str(answer))
