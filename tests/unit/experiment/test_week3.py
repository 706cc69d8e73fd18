"""The parts of week 3: what was bound to be found, sweeps against plain counting, and ends seen on a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from servers import GUARD, LAYERING, Server

from rag_lab.cache import memory, redis
from rag_lab.cache.layering import LAYERS, Lifetimes
from rag_lab.experiment import cache_expiry, cache_sweeps
from rag_lab.experiment.cache_expiry import Expiry
from rag_lab.experiment.cache_sweeps import Sweeps
from rag_lab.experiment.stream import Request, requests
from rag_lab.experiment.week3_verdicts import due
from rag_lab.types import Answer, Query

QUERIES = [Query(f"q{row}", f"Question {row}?", "general", "test", row) for row in range(100)]


def test_what_was_computed_within_a_life_is_due() -> None:
    """Asked at 0, 5, 12 and 13 s with a life of 10 s: found at 5; its life is over at 12; found again at 13."""
    stream = [Request(QUERIES[0], time_s) for time_s in (0.0, 5.0, 12.0, 13.0)]
    hits = np.array([False, True, False, True])
    assert due(stream, hits, 10.0).tolist() == [False, True, False, True]


def test_a_miss_of_what_was_due_shows() -> None:
    stream = [Request(QUERIES[0], 0.0), Request(QUERIES[0], 1.0)]
    assert due(stream, np.array([False, False]), 10.0).tolist() == [False, True]


def known() -> cache_sweeps.Values:
    class Told:
        query, answer = QUERIES[0], Answer("An answer.", ("p1",))

    return cache_sweeps.values(QUERIES, [Told()], 10)  # type: ignore[list-item]


def test_sweeps_are_what_counting_gives() -> None:
    stream = requests(QUERIES, length=600, exponent=1.0, seed=0)
    lives = LAYERING._replace(ttl_s=Lifetimes(50.0, 100.0, 200.0))
    found = cache_sweeps.rates(stream, known(), lives)
    for layer in LAYERS:
        written: dict[str, float] = {}
        hits = 0
        for request in stream:
            alive = request.time_s - written.get(request.query.id, -np.inf) < getattr(lives.ttl_s, layer)
            hits += alive
            if not alive:
                written[request.query.id] = request.time_s
        assert found[layer] == hits / 600


def test_every_sweep_changes_one_thing() -> None:
    sweeps = Sweeps((1.0,), (5000,), (1 << 30,), (900.0,))
    found = cache_sweeps.run(QUERIES, known(), LAYERING, sweeps)
    assert found["exponent"]["evidence"] == found["length"]["evidence"] == found["max_bytes"]["evidence"]
    assert found["ttl_s"]["evidence"] == found["ttl_s"]["embeddings"] == found["exponent"]["explanations"]


SHORT = Expiry(Lifetimes(0.3, 0.4, 0.5), 3)


@pytest.mark.parametrize("kind", ["memory", "valkey", "redis"])
def test_ends_are_seen_on_the_store(kind: str, tmp_path: Path) -> None:
    if kind == "memory":
        late = cache_expiry.lateness(memory.build(namespace="n", layers=LAYERING, max_bytes=1 << 24), SHORT)
    else:
        server = Server(tmp_path, kind)
        opener = redis.build(namespace="n", layers=LAYERING, url=server.url, url_variable="RAG_LAB_UNSET", guard=GUARD)
        late = cache_expiry.lateness(opener, SHORT)
        server.close()
    assert set(late) == set(LAYERS)
    assert all(len(each) == 3 and (np.abs(each) < 1).all() for each in late.values())
