"""A data set's identity: sha256 over the canonical form of its content.

The canonical form is UTF-8 lines, each a JSON array without spaces and with non-ASCII characters as they are,
ended by a line feed. For each domain, in order of name:

    ["domain", name]
    ["passage", id, title, text]            in order of id
    ["query", id, text, answer or null]     in order of id
    ["judgment", query id, passage id, grade]   in order of query id, then passage id
    ["unanswerable", id, text, answer or null]  in order of id

Strings are ordered by code point. Rows' order, compression, line ends, unused fields, the split and the seed
therefore do not change it; any change of a used text, id or grade does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from operator import attrgetter

from rag_lab.types import Collection

by_id = attrgetter("id")


def _rows(collections: Sequence[Collection]) -> Iterator[tuple[object, ...]]:
    for collection in sorted(collections, key=attrgetter("domain")):
        yield "domain", collection.domain
        for passage in sorted(collection.passages, key=by_id):
            yield "passage", passage.id, passage.title, passage.text
        for query in sorted(collection.queries, key=by_id):
            yield "query", query.id, query.text, query.answer
        for query_id, judged in sorted(collection.qrels.items()):
            for passage_id, grade in sorted(judged.items()):
                yield "judgment", query_id, passage_id, grade
        for query in sorted(collection.unanswerable, key=by_id):
            yield "unanswerable", query.id, query.text, query.answer


def fingerprint(collections: Sequence[Collection]) -> str:
    """The sha256 of the canonical form, as 64 hexadecimal digits."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    digest = hashlib.sha256()
    for row in _rows(collections):
        digest.update(encode(row).encode() + b"\n")
    return digest.hexdigest()
