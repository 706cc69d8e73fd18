"""Servers and caches shared by the tests of a file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import GUARD, LAYERING, Open, Server, program

from rag_lab.cache import embedded, memory, redis
from rag_lab.cache.layering import Cache, Layering


@pytest.fixture(scope="module", params=["memory", "embedded", "valkey", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens a cache of each variant; `redis` on a Valkey (Unix socket) and on a Redis (TCP) server."""
    kind = request.param
    server = None
    if kind == "embedded":
        program("valkey")
    if kind in ("valkey", "redis"):
        server = Server(tmp_path_factory.mktemp(kind), kind, unix=kind == "valkey")
    left: list[Cache] = []

    def open(layering: Layering = LAYERING, clock: Callable[[], float] = time.time, namespace: str = "n") -> Cache:
        if kind == "memory":
            opener = memory.build(namespace=namespace, layers=layering, max_bytes=1 << 26)
        elif kind == "embedded":
            opener = embedded.build(namespace=namespace, layers=layering, max_bytes=1 << 26, guard=GUARD)
        else:
            assert server is not None
            opener = redis.build(
                namespace=namespace, layers=layering, url=server.url, url_variable="RAG_LAB_UNSET", guard=GUARD
            )
        left.append(opener.open(clock))
        return left[-1]

    yield open
    for cache in left:
        cache.close()
    if server is not None:
        server.close()


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _server(tmp_path_factory.mktemp("v"), "valkey")


@pytest.fixture(scope="module")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _server(tmp_path_factory.mktemp("r"), "redis")


def _server(folder: Path, kind: str) -> Iterator[Server]:
    server = Server(folder, kind)
    yield server
    server.close()
