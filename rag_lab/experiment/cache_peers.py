"""The peers of the cache's benchmark: who does the same with the same value, and who cannot take part, and why.

RedisVL's EmbeddingsCache remembers embeddings on the same server; GPTCache's map, which is in this process, answers
in memory; cashews, which is asynchronous, whatever can be pickled, on the same server or in memory. Many of its
reads go through one turn of the event loop, so that starting the loop does not count against it.
"""

from __future__ import annotations

import importlib.util
from asyncio import Runner
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.cache.layering import LayerName
from rag_lab.experiment.benchmark import Program

ABSENT = "not installed; pip install 'rag-lab[peers]'"
NO_SEARCH = "its answers need a server with the search module, which neither Valkey nor Redis 7 has"
MODEL = "minilm"
LIFE_S = 3600
READS = 64  # of cashews in one turn of its loop


class Given(NamedTuple):
    """A question and its value in one layer."""

    text: str
    value: Any


class Around(NamedTuple):
    """Where peers live. raw: redis-py's client of the server; folder: for files; runner: of asynchronous ones."""

    raw: Any
    address: str
    folder: Path
    runner: Runner


class Peers(NamedTuple):
    """Who takes part, who does not and why, and how much work one call of those does who do more than one."""

    programs: dict[str, Program]
    absent: dict[str, str]
    units: dict[str, float]


def of_layer(layer: LayerName, near: bool, given: Given, around: Around) -> Peers:
    """For a hit of one value. near: in memory of this process, rather than on the server."""
    makers: dict[str, Callable[[], Program]] = {"cashews": partial(cashews, around, near, [given])}
    if layer == "embeddings" and not near:
        makers["redisvl"] = partial(redisvl, around.raw, [given])
    if layer == "explanations" and near:
        makers["gptcache"] = partial(gptcache, around.folder, given)
    return _gather(
        makers, dict.fromkeys(("redisvl", "gptcache"), NO_SEARCH) if layer == "explanations" and not near else {}
    )


def of_batch(texts: Sequence[str], vectors: Float[np.ndarray, "N D"], around: Around) -> Peers:
    """For many embeddings at once."""
    given = list(map(Given, texts, vectors))
    return _gather({"cashews": partial(cashews, around, False, given), "redisvl": partial(redisvl, around.raw, given)})


def _gather(makers: Mapping[str, Callable[[], Program]], absent: Mapping[str, str] | None = None) -> Peers:
    found = {name: make() for name, make in makers.items() if importlib.util.find_spec(name) is not None}
    missing = {name: ABSENT for name in makers if name not in found}
    return Peers(found, {**(absent or {}), **missing}, {name: READS for name in found if name == "cashews"})


def redisvl(raw: Any, given: Sequence[Given]) -> Program:
    """RedisVL's embeddings of texts."""
    from redisvl.extensions.cache.embeddings import EmbeddingsCache

    cache = EmbeddingsCache(name="redisvl", ttl=LIFE_S, redis_client=raw)
    for text, vector in given:
        cache.set(content=text, model_name=MODEL, embedding=vector.tolist())
    texts = [one.text for one in given]
    if len(texts) == 1:
        return lambda: [cache.get(content=texts[0], model_name=MODEL)]
    return lambda: cache.mget(contents=texts, model_name=MODEL)


def gptcache(folder: Path, given: Given) -> Program:
    """GPTCache's exact map in this process."""
    from gptcache import Cache as Map
    from gptcache.adapter.api import get, put
    from gptcache.manager import get_data_manager
    from gptcache.processor.pre import get_prompt

    cache = Map()
    manager = get_data_manager(data_path=str(folder / "map"), max_size=1000)
    manager.close = lambda: None  # at exit it would write its map into the folder, which is gone by then
    cache.init(pre_embedding_func=get_prompt, data_manager=manager)
    put(given.text, given.value.text, cache_obj=cache)
    ask: Callable[[], Any] = lambda: [get(given.text, cache_obj=cache)]  # noqa: E731
    return ask


def cashews(around: Around, near: bool, given: Sequence[Given]) -> Program:
    """cashews' values by key, READS times."""
    from cashews import Cache
    from cashews.backends.redis import Redis
    from cashews.picklers import PicklerType
    from cashews.wrapper.backend_settings import register_backend

    register_backend("unix", Redis, pass_uri=True, pickler=PicklerType.DEFAULT)  # it knows sockets, not the scheme
    cache = Cache()
    cache.setup("mem://" if near else around.address, check_repr=False)  # which costs it more than all else
    keys = [f"cashews:{text}" for text, _ in given]

    async def put() -> None:
        for key, one in zip(keys, given, strict=True):
            await cache.set(key, one.value, expire=LIFE_S)

    async def read() -> Sequence[Any]:
        for _ in range(READS):
            found = [await cache.get(keys[0])] if len(keys) == 1 else await cache.get_many(*keys)
        return found

    run: Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any] = lambda work: around.runner.run(work())  # noqa: E731
    run(put)
    return partial(run, read)
