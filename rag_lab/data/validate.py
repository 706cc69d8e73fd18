"""What a data set must hold to be used: the rules for ids and texts, for a collection, and for its split.

Readers apply the rules for ids and texts to each row, where file and line are known; `validate` holds every
collection against all of them again, whoever built it.
"""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterable, Sequence

from rag_lab.errors import DataError
from rag_lab.types import Collection, Query


def id_problem(value: object, field: str = "id") -> str | None:
    """What is wrong with an id, or None. White space would break the TREC run files that a run writes."""
    if value is None or value == "":
        return f"no {field}; every row needs one, a non-empty string"
    if not isinstance(value, str):
        return f"{field} is {reprlib.repr(value)}; it must be a string, in quotes"
    if value.split() != [value]:
        return f"{field} is {reprlib.repr(value)}; ids hold no white space, which TREC run files cannot hold"
    return _unicode_problem(value, field)


def text_problem(value: object, field: str = "text") -> str | None:
    """What is wrong with a text, or None."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return f"no {field}; every row needs some, and a title does not count"
    return string_problem(value, field)


def string_problem(value: object, field: str) -> str | None:
    """What is wrong with a string that may be empty, or None."""
    if not isinstance(value, str):
        return f"{field} is {reprlib.repr(value)}; it must be a string"
    return _unicode_problem(value, field)


def _unicode_problem(value: str, field: str) -> str | None:
    """An escape such as \\ud800 alone makes a string that no file can hold."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"{field} is not UTF-8: half a surrogate pair at character {error.start + 1}"
    return None


def _first(problems: Iterable[str | None]) -> str | None:
    return next((problem for problem in problems if problem), None)


def validate(collections: Sequence[Collection]) -> None:
    """Raise DataError on the first thing that is wrong with collections, before any cut or split.

    Domains, query ids over all collections, and passage ids within one are unique; ids and texts keep to the
    rules above; every judged passage and query exists; every query was judged.
    """
    domains = Counter(collection.domain for collection in collections)
    if not domains:
        raise DataError("no collection; a data set has at least one domain")
    if twice := [domain for domain, count in domains.items() if count > 1]:
        raise DataError(f"domain '{twice[0]}' comes twice; each domain is one collection")
    queries: set[str] = set()
    for collection in collections:
        if problem := _collection_problem(collection, queries):
            raise DataError(f"{collection.domain}: {problem}")


def _collection_problem(collection: Collection, queries_so_far: set[str]) -> str | None:
    if not collection.passages or not collection.queries:
        found = f"{len(collection.passages)} passages and {len(collection.queries)} judged queries"
        return f"{found}; at least one of each is needed"
    passages: set[str] = set()
    for passage in collection.passages:
        title, text = string_problem(passage.title, "title"), text_problem(passage.text)
        if problem := _first((id_problem(passage.id), title, text)):
            return f"passage {passage.id!r}: {problem}"
        if passage.id in passages:
            return f"passage {passage.id!r} comes twice; ids are unique within a collection"
        passages.add(passage.id)
    for query in (*collection.queries, *collection.unanswerable):
        if problem := _query_problem(query, collection, queries_so_far):
            return f"query {query.id!r}: {problem}"
        queries_so_far.add(query.id)
    return _judgment_problem(collection, passages)


def _judgment_problem(collection: Collection, passages: set[str]) -> str | None:
    queries = {query.id for query in collection.queries}
    for query, judged in collection.qrels.items():
        if query not in queries:
            return f"query {query!r} is judged, but does not exist"
        for passage in judged:
            if passage not in passages:
                return f"query {query!r} is judged on passage {passage!r}, which does not exist"
    for query in sorted(queries):
        if not collection.qrels.get(query):
            return f"query {query!r} has no judgment; leave it out, or keep it as unanswerable"
    return None


def _query_problem(query: Query, collection: Collection, queries_so_far: set[str]) -> str | None:
    if query.domain != collection.domain:
        return f"its domain is '{query.domain}'; it must be its collection's"
    if query.id in queries_so_far:
        return "comes twice; query ids are unique over all domains"
    answer = None if query.answer is None else string_problem(query.answer, "answer")
    return _first((id_problem(query.id), text_problem(query.text), answer))


def validate_split(collections: Sequence[Collection]) -> None:
    """Raise DataError unless every domain has, in train and in test, a query with a relevant passage."""
    for collection in collections:
        ranked = Counter(query.split for query in collection.queries if max(collection.qrels[query.id].values()) > 0)
        for split in ("train", "test"):
            if not ranked[split]:
                raise DataError(
                    f"{collection.domain}: the {split} split has no query with a relevant passage; give more "
                    "judged queries, raise data.max_queries, or see data.keep_overlap and data.test_share"
                )
