"""The documents of a fictional bank, cut to passages, with the questions that their own titles and FAQs ask.

Source: inspect-evals, `banking_knowledge/documents.json.gz` (from τ²-bench): 698 documents, each an id, a
title and Markdown content. Ids read "doc_<product line>_<product>_<number>".
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from rag_lab.data.packaged.parts import Part, Question, Text, flat

MEMBER = "inspect_evals/tau2/data/domains/banking_knowledge/documents.json.gz"
WORDS = 200  # at most so many in a passage: with its title, most fit the encoder's 256 tokens
SELF_CONTAINED = 5  # words from which an answer makes sense without its question; "$0.00" does not
BLANK = "[value not available]"  # a template that was never filled in: such documents say nothing
LINES = (
    "bank_accounts", "business_checking_accounts", "business_credit_cards", "business_savings_accounts",
    "buy_now_pay_later", "checking_accounts", "credit_cards", "customer_support", "everyone_pay",
    "personal_subscriptions", "savings_accounts",
)  # fmt: skip
PRODUCT = re.compile(rf"doc_(?:{'|'.join(LINES)})_(.+)_\d+")
BODY = 99  # the depth of what is no heading
HEADING = re.compile(r"#+ +(.*)")
ASKED = re.compile(r"(?:#+|-) +(?:Q: *)?(.+\?)")
FAQ = re.compile(r"\bFAQs?\b|\bquestions\b", re.IGNORECASE)
MARKUP = re.compile(r"^#+ +|\*\*|`|^\| *| *\|$")
SENTENCE = re.compile(r"(?<=[.!?]) ")
RULE = re.compile(r"\|?[ :|-]*-[ :|-]*")  # under a table's head, or across the page


class Document(NamedTuple):
    """A document: its id, title, the product it is about, and its lines."""

    id: str
    title: str
    product: str
    lines: tuple[str, ...]


class Pair(NamedTuple):
    """A question that a document asks itself, and the lines that answer it."""

    question: str
    answer: tuple[str, ...]


def parse(content: bytes) -> list[Document]:
    """The documents that are filled in, in the file's order."""
    records = [record for record in json.loads(gzip.decompress(content)) if BLANK not in record["content"]]
    written: dict[str, list[str]] = {}
    for record in records:
        written.setdefault(slug(record["id"]), []).append(record["title"] + "\n" + record["content"])
    names = {key: product(key, texts) for key, texts in written.items()}
    return [
        Document(
            record["id"],
            flat(record["title"]),
            names[slug(record["id"])],
            tuple(line.rstrip() for line in record["content"].splitlines() if line.strip()),
        )
        for record in records
    ]


def slug(identity: str) -> str:
    """The product's part of a document's id, or the whole id where it has another form."""
    found = PRODUCT.fullmatch(identity)
    return found[1] if found else identity


def product(key: str, texts: Iterable[str]) -> str:
    """The product's name as its own documents write it most often, else the slug with capitals."""
    words = key.removesuffix("_(general)").replace("_", " ")
    found = re.findall(re.escape(words), "\n".join(texts), re.IGNORECASE)
    names = Counter(name for name in found if not name.islower())
    return names.most_common(1)[0][0] if names else words.title()


def separate(document: Document) -> tuple[list[str], list[Pair]]:
    """The document's lines without its FAQ, and the FAQ's pairs.

    A FAQ is a document or a section whose title says so. Its questions are headings, or list items
    followed by an indented answer.
    """
    rest: list[str] = []
    pairs: list[tuple[str, list[str]]] = []
    inside = whole = bool(FAQ.search(document.title))
    answering = False
    for line in document.lines:
        heading, asked = HEADING.match(line), ASKED.fullmatch(line)
        if heading and line.startswith("## ") and not asked:
            inside = whole or bool(FAQ.search(heading[1]))
        if inside and asked:
            pairs.append((flat(asked[1]), []))
            answering = True
        elif answering and not heading:
            pairs[-1][1].append(line)
        else:
            answering = False
            rest.append(line)
    return filled(rest), [Pair(question, tuple(answer)) for question, answer in pairs]


def filled(lines: list[str]) -> list[str]:
    """The lines without headings that head nothing: the end, or a heading no deeper, follows at once."""
    depths = [line.index(" ") if HEADING.match(line) else BODY for line in lines]
    return [
        line
        for line, depth, below in zip(lines, depths, [*depths, 0][1:], strict=True)
        if depth == BODY or depth < below
    ]


def plain(lines: Iterable[str]) -> str:
    """Lines without Markdown's signs; list items keep their dashes, and tables the bars between cells."""
    cleaned = (MARKUP.sub("", line.strip()).strip() for line in lines if not RULE.fullmatch(line.strip()))
    return "\n".join(flat(line) for line in cleaned if line)


def spoken(lines: Iterable[str]) -> str:
    """An answer as running text, without the "A:" or dash it began with."""
    return flat(" ".join(re.sub(r"^(?:- *)?(?:A: *)?", "", line) for line in plain(lines).splitlines()))


def count(lines: Iterable[str]) -> int:
    """The words of the lines."""
    return sum(len(line.split()) for line in lines)


def pieces(lines: list[str], words: int = WORDS) -> Iterator[list[str]]:
    """The lines cut at headings to pieces of at most `words` words, of about equal length.

    Only a section longer than that is cut between its lines, or a line that long between its sentences, each
    piece under the same heading.
    """
    blocks: list[list[str]] = []
    parts = (SENTENCE.split(line) if count([line]) > words else [line] for line in lines)
    for line in chain.from_iterable(parts):
        if HEADING.match(line) or not blocks:
            blocks.append([])
        elif count(blocks[-1]) + count([line]) > words:
            head = blocks[-1][:1]
            blocks.append([line for line in head if HEADING.match(line)])
        blocks[-1].append(line)
    total = count(lines)
    target = total / max(1, -(-total // words))
    piece: list[str] = []
    for block in blocks:
        bare = all(HEADING.match(line) for line in piece)  # a heading stays with what it heads
        if piece and not bare and (count(piece) + count(block) > words or count(piece) >= target):
            yield piece
            piece = []
        piece += block
    if not all(HEADING.match(line) for line in piece):
        yield piece


def part(content: bytes) -> tuple[Part, dict[str, tuple[str, ...]]]:
    """The bank's part of the finance domain, and the texts' ids of every document.

    A document titled by a question loses its title to the query and bears its product's name instead. So
    does a FAQ's answer, a text of its own, lose its question, which is asked about the product; an answer
    that makes no sense alone keeps it and is not asked for.
    """
    texts: list[Text] = []
    questions: list[Question] = []
    held: dict[str, tuple[str, ...]] = {}
    for document in parse(content):
        name = document.id.replace("doc_", "bank-", 1)
        asks = document.title.endswith("?")
        title = document.product if asks else document.title
        rest, pairs = separate(document)
        mine = [Text(f"{name}-{number}", title, plain(piece)) for number, piece in enumerate(pieces(rest), 1)]
        for number, pair in enumerate(pairs, 1):
            identity, answer = f"{name}-faq-{number}", spoken(pair.answer)
            if count([answer]) >= SELF_CONTAINED:
                mine.append(Text(identity, title, answer))
                questions.append(Question(identity, prefixed(pair.question, document), (identity,), answer))
            else:
                mine.append(Text(identity, title, f"{pair.question} {answer}"))
        whole = tuple(text.id for text in mine)
        # A FAQ's answers are judged for their own questions alone: which of them a scenario needs is unknown.
        held[document.id] = tuple(one for one in whole if "-faq-" not in one)
        if asks:
            questions.append(Question(f"{name}-title", document.title, whole))
        texts += mine
    return Part(tuple(texts), tuple(questions)), held


def prefixed(question: str, document: Document) -> str:
    """The question with what it is about in front, unless it says so itself."""
    about = document.title.removeprefix("FAQ: ") if document.title.startswith("FAQ: ") else document.product
    named = about.casefold() in question.casefold()
    return question if named else f"{about}: {question}"
