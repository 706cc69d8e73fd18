"""Train and test, so that nothing relevant in test was learned from, and clusters for the statistics.

Two queries are linked when a passage is relevant (grade above 0) to both; a cluster is a connected component
of these links. The rules are those of protocol.md, "Splits": test judgments are kept whole, train is the rest
less every query that shares a relevant passage with test; where there are test judgments alone, whole
components are drawn into test, seeded.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from rag_lab.types import Collection, Query, Split

LARGE_COMPONENT = 0.2  # of the queries with test judgments; a larger one is reported


def components(relevant: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """The component of each query, from its relevant passages: numbers from 0, dense, in order of appearance.

    A query without a relevant passage is a component of its own. Union-find with path halving.
    """
    parent = {query: query for query in relevant}

    def root(query: str) -> str:
        while parent[query] != query:
            parent[query] = parent[parent[query]]
            query = parent[query]
        return query

    first_with: dict[str, str] = {}
    for query, passages in relevant.items():
        for passage in passages:
            parent[root(query)] = root(first_with.setdefault(passage, query))
    numbers: dict[str, int] = {}
    return {query: numbers.setdefault(root(query), len(numbers)) for query in relevant}


def generator(seed: int, domain: str) -> np.random.Generator:
    """The domain's own source of chance: other domains, and their order, do not change it."""
    digest = hashlib.sha256(f"split\0{seed}\0{domain}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


def split(
    collections: Sequence[Collection], *, seed: int, test_share: float, keep_overlap: bool
) -> tuple[tuple[Collection, ...], int, tuple[str, ...]]:
    """Collections whose queries are "train" or "test" and have a cluster; train queries dropped; notes.

    test_share: the share of queries drawn into test where a collection's queries are all "test".
    keep_overlap: keep train queries that share a relevant passage with test; then none count as dropped.
    Clusters are numbered within a collection and split, unanswerable queries (each its own) after the others.
    """
    done = [_split_one(collection, seed, test_share, keep_overlap) for collection in collections]
    before = sum(len(collection.queries) for collection in collections)
    dropped = before - sum(len(collection.queries) for collection in done)
    return tuple(done), dropped, tuple(note for each in collections for note in _large_components(each))


def _relevant(collection: Collection) -> dict[str, set[str]]:
    """The relevant passages of every query, unanswerable ones (none) last."""
    return {
        query.id: {passage for passage, grade in collection.qrels.get(query.id, {}).items() if grade > 0}
        for query in (*collection.queries, *collection.unanswerable)
    }


def _split_one(collection: Collection, seed: int, test_share: float, keep_overlap: bool) -> Collection:
    relevant = _relevant(collection)
    assigned = _assign(collection, relevant, seed, test_share)
    tested = set[str]().union(*(relevant[query] for query in relevant if assigned[query] == "test"))
    kept = {
        query: passages
        for query, passages in relevant.items()
        if keep_overlap or assigned[query] == "test" or tested.isdisjoint(passages)
    }
    clusters: dict[str, int] = {}
    for part in ("train", "test"):
        clusters |= components({query: kept[query] for query in kept if assigned[query] == part})

    def placed(queries: Iterable[Query]) -> tuple[Query, ...]:
        return tuple(
            query._replace(split=assigned[query.id], cluster=clusters[query.id])
            for query in queries
            if query.id in kept
        )

    return replace(
        collection,
        queries=placed(collection.queries),
        qrels={query: judged for query, judged in collection.qrels.items() if query in kept},
        unanswerable=placed(collection.unanswerable),
    )


def _assign(collection: Collection, relevant: Mapping[str, set[str]], seed: int, test_share: float) -> dict[str, Split]:
    """The split of every query, before train queries are dropped for sharing a passage with test."""
    everyone = (*collection.queries, *collection.unanswerable)
    if any(query.split != "test" for query in collection.queries):
        return {query.id: "test" if query.split == "test" else "train" for query in everyone}
    chance = generator(seed, collection.domain)
    assigned: dict[str, Split] = {query.id: "train" for query in everyone}
    # Queries that ranking metrics leave out are drawn apart: they must not shift the share of the others.
    kinds = (
        {query.id: relevant[query.id] for query in collection.queries if relevant[query.id]},
        {query.id: relevant[query.id] for query in collection.queries if not relevant[query.id]},
        {query.id: relevant[query.id] for query in collection.unanswerable},
    )
    for kind in kinds:
        for group in _drawn(components(kind), test_share, chance):
            assigned.update(dict.fromkeys(group, "test"))
    return assigned


def _drawn(component: Mapping[str, int], share: float, chance: np.random.Generator) -> list[list[str]]:
    """The components that go to test: visited in random order, each taken that still fits in the share.

    Where there are two or more, each side gets at least one. They are first put in order of their smallest
    query id, so that the row order of the source does not matter.
    """
    groups: dict[int, list[str]] = {}
    for query in sorted(component):
        groups.setdefault(component[query], []).append(query)
    order = [list(groups.values())[position] for position in chance.permutation(len(groups))]
    if len(order) < 2:
        return order
    room = min(round(share * len(component)), len(component) - 1)
    taken = []
    for group in order:
        if len(group) <= room:
            taken.append(group)
            room -= len(group)
    return taken or [min(order, key=len)]


def _large_components(collection: Collection) -> list[str]:
    """A note for each large component of the queries with test judgments: it weakens splits and intervals."""
    relevant = _relevant(collection)
    judged = [query.id for query in collection.queries if query.split == "test"]
    sizes = Counter(components({query: relevant[query] for query in judged}).values())
    return [
        f"{collection.domain}: {size} of the {len(judged)} queries with test judgments "
        f"({size / len(judged):.0%}) are linked by shared relevant passages; "
        "they stay on one side of the split and form one cluster."
        for size in sizes.values()
        if size > 1 and size > LARGE_COMPONENT * len(judged)
    ]
