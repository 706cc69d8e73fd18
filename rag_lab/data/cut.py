"""Smaller data for quick runs: `data.max_queries` and `data.max_passages`, totals shared by the domains.

The domains share a total as equally as their sizes allow, since each weighs the same in the results. What
is kept follows from ids alone (their sha256 orders them), not from the seed or the row order: runs with
different seeds see the same data, and among cuts of one kind a larger contains a smaller.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rag_lab.errors import ConfigError
from rag_lab.types import Collection, Query

QUERIES_NEEDED = 2  # per domain: one to learn from, one to be judged on


def cut(
    collections: Sequence[Collection], *, max_queries: int | None, max_passages: int | None
) -> tuple[tuple[Collection, ...], tuple[str, ...]]:
    """Collections of at most `max_queries` queries and `max_passages` passages in all, and notes on them.

    Test and other queries are thinned alike. Every judged passage of a kept query stays, even past
    `max_passages`; the rest are distractors. Unanswerable queries stay. Source order stays. ConfigError when
    `max_queries` cannot give every domain a query to learn from and one to be judged on.
    """
    kept = tuple(collections)
    if max_queries is not None:
        sizes = {collection.domain: len(collection.queries) for collection in kept}
        floors = {domain: min(QUERIES_NEEDED, size) for domain, size in sizes.items()}
        if max_queries < sum(floors.values()):
            raise ConfigError(
                f"data.max_queries={max_queries} is too few: each of {len(kept)} domains needs one query "
                f"to learn from and one to be judged on; give {sum(floors.values())} or more, or null for all"
            )
        room = shares(max_queries, floors, sizes)
        kept = tuple(_fewer_queries(collection, room[collection.domain]) for collection in kept)
    if max_passages is None:
        return kept, ()
    judged = {collection.domain: _judged(collection) for collection in kept}
    floors = {domain: len(passages) for domain, passages in judged.items()}
    room = shares(max_passages, floors, {collection.domain: len(collection.passages) for collection in kept})
    kept = tuple(_fewer_passages(collection, judged[collection.domain], room[collection.domain]) for collection in kept)
    if sum(floors.values()) <= max_passages:
        return kept, ()
    return kept, (
        f"data.max_passages={max_passages}, but {sum(floors.values())} passages are kept: "
        "the judged passages of kept queries always are.",
    )


def shares(total: int, floors: Mapping[str, int], ceilings: Mapping[str, int]) -> dict[str, int]:
    """Share `total` equally, each domain getting no less than its floor and no more than its ceiling.

    Floors are given even when they exceed the total. A remainder goes to the first domains by name.
    """
    domains = sorted(floors)

    def at(level: int) -> dict[str, int]:
        return {domain: min(max(level, floors[domain]), ceilings[domain]) for domain in domains}

    levels = range(max(ceilings.values()) + 1)
    level = bisect_right(levels, total, key=lambda each: sum(at(each).values())) - 1
    given, more = at(max(level, 0)), at(max(level, 0) + 1)
    left = total - sum(given.values())
    for domain in domains:
        if left > 0 and more[domain] > given[domain]:
            given[domain] += 1
            left -= 1
    return given


def _rank(domain: str, identifier: str) -> bytes:
    """A pseudo-random order of ids, the same on every machine."""
    return hashlib.sha256(f"{domain}\0{identifier}".encode()).digest()


def _fewer_queries(collection: Collection, room: int) -> Collection:
    """Thin test and other queries in proportion, keeping at least one of each where there is one."""

    def first(queries: list[Query], count: int) -> set[str]:
        return {query.id for query in sorted(queries, key=lambda each: _rank(each.domain, each.id))[:count]}

    test = [query for query in collection.queries if query.split == "test"]
    others = [query for query in collection.queries if query.split != "test"]
    share = round(room * len(test) / len(collection.queries))
    share = min(max(share, min(1, len(test))), room - min(1, len(others)))
    keep = first(test, share) | first(others, room - share)
    return replace(
        collection,
        queries=tuple(query for query in collection.queries if query.id in keep),
        qrels={query: judged for query, judged in collection.qrels.items() if query in keep},
    )


def _judged(collection: Collection) -> set[str]:
    return {passage for judged in collection.qrels.values() for passage in judged}


def _fewer_passages(collection: Collection, judged: set[str], room: int) -> Collection:
    others = [passage.id for passage in collection.passages if passage.id not in judged]
    others.sort(key=lambda each: _rank(collection.domain, each))
    keep = judged.union(others[: room - len(judged)])
    return replace(collection, passages=tuple(passage for passage in collection.passages if passage.id in keep))
