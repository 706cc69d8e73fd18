"""The roadmap's checks of the cache, on real servers: it is hit, saves calls, expires on time, survives."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis as redis_py
import yaml
from servers import GUARD, LAYERING, Server

from rag_lab.cache import redis
from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import LAYERS, Cache, Layering, LayerName, Lifetimes
from rag_lab.experiment.stream import requests
from rag_lab.types import Answer, Query

ROOT = Path(__file__).resolve().parent.parent.parent
QUERIES = [Query(f"q{row}", f"Question {row} of 770?", "general", "test", row) for row in range(770)]
VALUES: dict[LayerName, Any] = {
    "embeddings": np.ones(384, np.float32),
    "evidence": Evidence(np.arange(10, dtype=np.int32), np.ones(10, np.float32)),
    "explanations": Answer("An answer.", ("p1",)),
}


@pytest.fixture(scope="module", params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp(request.param), request.param)
    yield found
    found.close()


def connect(server: Server, layering: Layering = LAYERING, namespace: str = "n", **options: Any) -> Cache:
    opener = redis.build(
        namespace=namespace, layers=layering, url=server.url, url_variable="RAG_LAB_UNSET", guard=GUARD
    )
    return opener.open(**options)


def test_the_frozen_stream_hits_all_repeats_within_their_time_and_pays_a_quarter_less(server: Server) -> None:
    """5,000 requests over 770 questions, one a second of a virtual clock; counted against the stream itself."""
    now = [0.0]
    stream = requests(QUERIES, length=5000, exponent=1.0, seed=0)
    with connect(server, namespace="stream", clock=lambda: now[0]) as cache:
        paid = dict.fromkeys(LAYERS, 0)
        for request in stream:
            now[0] = request.time_s
            for layer in LAYERS:

                def pay(missing: list[int], layer: LayerName = layer) -> list[Any]:
                    paid[layer] += 1
                    return [VALUES[layer]]

                where = cache.scope(layer, index="i", encoder="e", config={})
                getattr(cache, layer).ask(where, [request.query.text], pay)
        counts = cache.snapshot().layers
    for layer in LAYERS:
        ttl_s, written, misses = getattr(LAYERING.ttl_s, layer), {}, 0
        for request in stream:
            if request.time_s - written.get(request.query.id, -np.inf) >= ttl_s:
                written[request.query.id] = request.time_s
                misses += 1
        assert paid[layer] == counts[layer].misses == misses and counts[layer].errors == 0
        assert counts[layer].hits == 5000 - misses and counts[layer].hit_rate is not None
    assert counts["evidence"].hit_rate > 0.6
    assert sum(paid.values()) < 0.75 * 3 * 5000


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_expires_on_the_server_within_a_second_of_its_time(server: Server, layer: LayerName) -> None:
    """Asked of the server by another client; each layer by a time of its own, whole configured lives by PTTL."""
    brief = LAYERING._replace(ttl_s=Lifetimes(1.0, 1.2, 1.4))
    with connect(server, brief, f"ttl-{layer}") as cache, redis_py.Redis.from_url(server.url) as other:
        key = cache.scope(layer, index="i", encoder="e", config={}).key("a")
        getattr(cache, layer).put_many({key: VALUES[layer]})
        written, ttl_s = time.monotonic(), getattr(brief.ttl_s, layer)
        assert other.exists(key)
        while other.exists(key):
            assert time.monotonic() - written < ttl_s + 1
            time.sleep(0.005)
        assert time.monotonic() - written > ttl_s - 0.05
    with connect(server, LAYERING._replace(jitter=0.1), f"pttl-{layer}") as cache:
        keys = cache.scope(layer, index="i", encoder="e", config={}).keys([str(one) for one in range(20)], None)
        getattr(cache, layer).put_many(dict.fromkeys(keys, VALUES[layer]))
        whole_ms = 1000 * getattr(LAYERING.ttl_s, layer)
        with redis_py.Redis.from_url(server.url) as other:
            left_ms = [other.pttl(key) for key in keys]
        assert all(0.9 * whole_ms - 60_000 < left <= whole_ms for left in left_ms)
        cache.flush()


def test_another_process_s_values_are_served(server: Server) -> None:
    with connect(server) as one, connect(server) as other:
        for layer in LAYERS:
            where = one.scope(layer, index="i", encoder="e", config={})
            getattr(one, layer).ask(where, ["a"], lambda _, layer=layer: [VALUES[layer]])
            (found,) = getattr(other, layer).ask(where, ["A "], lambda _: pytest.fail("computed"))
            assert type(found) is type(VALUES[layer])
        one.flush()


def test_a_new_index_starts_empty_and_the_old_one_can_be_forgotten(server: Server) -> None:
    with connect(server) as cache:
        old, new = (cache.scope("evidence", index=name, encoder="e", config={}) for name in ("v1", "v2"))
        cache.evidence.ask(old, ["a"], lambda _: [VALUES["evidence"]])
        asked: list[int] = []
        cache.evidence.ask(new, ["a"], lambda missing: asked.extend(missing) or [VALUES["evidence"]])
        assert asked == [0] and cache.invalidate("v1") == 1
        assert cache.evidence.get_many([old.key("a"), new.key("a")])[0] is None
        assert cache.flush() == 1


def test_others_keys_on_the_same_server_are_left_alone(server: Server) -> None:
    with connect(server) as cache, redis_py.Redis.from_url(server.url) as other:
        other.set("somebody:else:a:b:c", "theirs")
        cache.explanations.ask(
            cache.scope("explanations", index="i", encoder="e", config={}), ["a"], lambda _: [Answer("x", ())]
        )
        commands = {str(line) for line in other.info("commandstats")}
        assert cache.flush() == 1 and other.get("somebody:else:a:b:c") == b"theirs"
        used = {str(line) for line in other.info("commandstats")} | commands
        assert not {"cmdstat_keys", "cmdstat_flushdb", "cmdstat_flushall"} & used
        other.delete("somebody:else:a:b:c")


def test_compose_starts_what_the_default_address_names() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert compose["services"]["redis"]["ports"] == ["127.0.0.1:6379:6379"]
    node = yaml.safe_load((ROOT / "conf/cache/redis.yaml").read_text(encoding="utf-8"))
    assert node["url"] == "redis://localhost:6379" and node["url_variable"] == "REDIS_URL"
