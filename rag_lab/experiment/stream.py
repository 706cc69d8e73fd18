"""The request stream: which query is asked when. Frozen by the protocol, so that runs can be compared.

Popularity follows Zipf's law, p ∝ 1/rank^s (Breslau et al. 1999, INFOCOM, find s near 1 for web requests); which
query has which rank is drawn from the stream's own seed. The clock is virtual: one request a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rag_lab.types import Dataset, Query

START_S = 1_750_000_000.0  # an arbitrary fixed moment of the virtual clock, in seconds since the epoch
LENGTH, EXPONENT, SEED = 5000, 1.0, 0  # the protocol's


class Request(NamedTuple):
    """A query asked at a time of the virtual clock."""

    query: Query
    time_s: float


def requests(queries: Sequence[Query], *, length: int, exponent: float, seed: int) -> list[Request]:
    """The stream over these queries, in their order; deterministic for a seed."""
    random = np.random.default_rng(seed)
    ranked = random.permutation(len(queries))
    weights = 1 / np.arange(1, len(queries) + 1) ** exponent
    drawn = random.choice(ranked, length, p=weights / weights.sum())
    return [Request(queries[place], START_S + second) for second, place in enumerate(drawn)]


def frozen(dataset: Dataset, count: int) -> list[Request]:
    """The first `count` requests of the protocol's stream; at most LENGTH."""
    return requests(test_queries(dataset), length=LENGTH, exponent=EXPONENT, seed=SEED)[:count]


def test_queries(dataset: Dataset) -> list[Query]:
    """The queries of the test split that have a relevant passage, domain by domain."""
    return [
        query
        for one in dataset.collections
        for query in one.queries
        if query.split == "test" and any(grade > 0 for grade in one.qrels.get(query.id, {}).values())
    ]
