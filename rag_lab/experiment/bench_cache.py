"""The cache against redis-py and its peers: hits of each layer, a miss, a batch of embeddings, in turn.

Ours is the public call, from texts to values: keys, checks, counters and all. Cells without a suffix are on the
server that `cache` opens; `…_memory` on memory in this process. Floors: `raw_get` and `raw_mget`, the very same
bytes by redis-py's `get` and `mget`, of which nothing is checked or decoded. `raw_get_64` stands among the peers:
sixty-four questions one at a time. Every result is checked before its time counts.
"""

from __future__ import annotations

import tempfile
from asyncio import Runner
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rag_lab import wiring
from rag_lab.cache import memory
from rag_lab.cache.forms import Evidence
from rag_lab.cache.guarded import Guarded
from rag_lab.cache.layering import Cache, LayerName, Opener
from rag_lab.errors import ConfigError
from rag_lab.experiment import benchmark, cache_peers
from rag_lab.experiment.benchmark import Cell, Effort
from rag_lab.experiment.cache_peers import MODEL, Around, Given
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.types import Answer

PASSAGES = 100_000  # from which places of evidence are drawn
SENTENCE = "The trial found a lower risk in the treated group than in the group that was given a placebo. "
Positive = Annotated[int, Field(ge=1)]


class BenchCache(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_cache.yaml."""

    name: str
    question: str
    batch: int
    dimensions: int
    shown: int
    sentences: int
    effort: Effort

    @property
    def needs_data(self) -> bool:
        """Values are made up."""
        return False

    def check(self, lab: Lab) -> None:
        """ConfigError where the chosen cache has no server."""
        self._opener(lab)

    def execute(self, lab: Lab) -> Findings:
        """Measure every cell."""
        opener = self._opener(lab)
        with opener.open() as cache, tempfile.TemporaryDirectory() as folder, Runner() as runner:
            if not isinstance(cache.store, Guarded):
                raise ConfigError(f"cache={lab.choices['cache']}: {'; '.join(cache.snapshot().notes) or 'no server'}")
            address = cache.store.address
            facts = {"data": f"made-up values, seed {lab.seed}", "server": server(address)}
            near = memory.build(namespace="bench", layers=opener.layering, max_bytes=1 << 28)
            with near.open() as memories, client(address) as raw:
                around = Around(raw, address, Path(folder), runner)
                cells = self._cells(cache, memories, around, Values(np.random.default_rng(lab.seed), self))
                document = benchmark.run(lab, self.name.removeprefix("bench_"), cells, self.effort, facts)
            cache.flush()
        return benchmark.publish(document)

    def _opener(self, lab: Lab) -> Opener:
        opener = wiring.build(lab.config["cache"], "cache")
        if not isinstance(opener, Opener) or lab.choices["cache"] == "memory":
            raise ConfigError(
                f"cache={lab.choices['cache']}: this benchmark needs a server; give cache=embedded or cache=redis"
            )
        return opener

    def _cells(self, cache: Cache, memories: Cache, around: Around, values: Values) -> Iterator[Cell]:
        for layer in ("evidence", "embeddings", "explanations"):
            given = values.one(layer)
            for suffix, where in (("", cache), ("_memory", memories)):
                scope = where.scope(layer, index="bench", encoder=MODEL, config={})
                key = scope.key(given.text)
                getattr(where, layer).put_many({key: given.value})
                peers = cache_peers.of_layer(layer, where is memories, given, around)
                yield Cell(
                    case=f"{layer}_hit{suffix}",
                    size={"bytes": len(where.store.get_many([key])[0] or b"")},
                    ours=partial(getattr(where, layer).ask, scope, [given.text], unasked),
                    peers=peers.programs,
                    floors={} if suffix else {"raw_get": [partial(around.raw.get, key)]},
                    check=partial(wrong, [given.value]),
                    absent=peers.absent,
                    units=peers.units,
                )
        missing = cache.scope("evidence", index="bench", encoder=MODEL, config={}).key("never asked")
        yield Cell(
            case="evidence_miss",
            size={"bytes": 0},
            ours=partial(cache.evidence.get_many, [missing]),  # type: ignore[attr-defined]
            peers={},
            floors={"raw_get": [partial(around.raw.get, missing)]},
            check=lambda found: None if found == [None] else "found what nobody put there",
        )
        yield self._batch(cache, around, values)

    def _batch(self, cache: Cache, around: Around, values: Values) -> Cell:
        """So many embeddings at once."""
        texts = [f"{values.question()} ({number})" for number in range(self.batch)]
        vectors, raw = values.vectors(self.batch), around.raw
        scope = cache.scope("embeddings", index="", encoder=MODEL, config={})
        keys = scope.keys(texts, None)
        cache.embeddings.put_many(dict(zip(keys, vectors, strict=True)))  # type: ignore[attr-defined]
        peers = cache_peers.of_batch(texts, vectors, around)
        return Cell(
            case=f"embeddings_batch{self.batch}",
            size={"embeddings": self.batch, "bytes": sum(map(len, raw.mget(keys)))},
            ours=partial(cache.embeddings.ask, scope, texts, unasked),
            peers={**peers.programs, "raw_get_64": lambda: [raw.get(key) for key in keys]},
            floors={"raw_mget": [partial(raw.mget, keys)]},
            check=lambda found: wrong(list(vectors), found) if not isinstance(found[0], bytes) else None,
            absent=peers.absent,
            units=peers.units,
        )


class Values:
    """Made-up questions and values of the sizes that a pipeline has."""

    def __init__(self, random: np.random.Generator, sizes: BenchCache) -> None:
        self._random, self._sizes = random, sizes

    def question(self) -> str:
        """A question of a usual length."""
        return f"What are the symptoms of type {self._random.integers(1 << 30)} diabetes in adults and children?"

    def vectors(self, count: int) -> Float[np.ndarray, "N D"]:
        """Random directions."""
        vectors = self._random.standard_normal((count, self._sizes.dimensions), np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def one(self, layer: LayerName) -> Given:
        """A question and its value."""
        shown = self._sizes.shown
        places = self._random.choice(PASSAGES, shown, replace=False).astype(np.int32)
        value = {
            "embeddings": lambda: self.vectors(1)[0],
            "evidence": lambda: Evidence(places, np.sort(self._random.random(shown, np.float32))[::-1].copy()),
            "explanations": lambda: Answer(SENTENCE * self._sizes.sentences, tuple(f"p{one}" for one in places[:3])),
        }[layer]()
        return Given(self.question(), value)


def unasked(missing: list[int]) -> Sequence[Any]:
    """Computing is not what is measured."""
    raise AssertionError("a value that was put is not there")


def plain(value: Any) -> Any:
    """A value of ours or of a peer in a form that compares: RedisVL gives lists of floats, GPTCache the text."""
    if isinstance(value, dict):
        value = np.array(value["embedding"], np.float32)
    if isinstance(value, Evidence):
        return [value.passage.tobytes(), value.score.tobytes()]
    return value.tobytes() if isinstance(value, np.ndarray) else getattr(value, "text", value)


def wrong(expected: Sequence[Any], found: Sequence[Any]) -> str | None:
    """What is wrong with a result: None where it is bit for bit what was put."""
    return None if list(map(plain, found)) == list(map(plain, expected)) else "not the value that was put"


def client(address: str) -> Any:
    """redis-py, as it comes."""
    import redis

    return redis.Redis.from_url(address)


def server(address: str) -> str:
    """The server's name and version."""
    with client(address) as asked:
        told = asked.info("server")
    name = "valkey" if "valkey_version" in told else "redis"
    return f"{name} {told[f'{name}_version']}, {'Unix socket' if address.startswith('unix') else 'TCP'}"


def build(
    *,
    name: str,
    question: str,
    batch: Annotated[int, Field(ge=2)],
    dimensions: Positive,
    shown: Positive,
    sentences: Positive,
    budget_s: Annotated[float, Field(ge=0)],
    rounds: Positive,
    turn_s: Annotated[float, Field(ge=0)],
    rest_s: Annotated[float, Field(ge=0)],
) -> Any:
    """The experiment: a cell for a hit of each layer, on the server and in memory, a miss, and a batch.

    batch: embeddings asked at once; dimensions: of each; shown: passages of an evidence; sentences: of an answer.
    budget_s: measuring time of a cell; rounds: at least so many; turn_s: of one program in a round, repeated until
    it is over; rest_s: before each turn.
    """
    return BenchCache(name, question, batch, dimensions, shown, sentences, Effort(budget_s, rounds, turn_s, rest_s))
