"""How often a stream's questions are found, against its skew and length, the memory's bound and the lives of values.

The real layers over the real memory, on a virtual clock of one request a second; only the stages are left out, for
which the run's own answers stand. What changes is one thing at a time, from the protocol's stream and the run's own
settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np

from rag_lab.cache import forms
from rag_lab.cache.layering import LAYERS, Cache, Layering, LayerName, Lifetimes
from rag_lab.cache.memory import Memory
from rag_lab.experiment.stream import EXPONENT, LENGTH, SEED, Request, requests
from rag_lab.pipeline import Reply
from rag_lab.types import Query

UNBOUNDED = 1 << 40  # bytes: more than any stream fills
DIMENSIONS = 384


class Sweeps(NamedTuple):
    """Settings. exponents, lengths: of the stream; max_bytes: of the memory, over all layers; ttl_s: of every layer
    alike."""

    exponents: tuple[float, ...]
    lengths: tuple[int, ...]
    max_bytes: tuple[int, ...]
    ttl_s: tuple[float, ...]


Values = Mapping[str, Mapping[LayerName, Any]]  # by query id


def values(queries: Sequence[Query], replies: Sequence[Reply], shown: int) -> Values:
    """A value of every layer for every query, of the size that it has in the run; a query that the run did not ask
    takes the answer of one that it did."""
    embedding = np.zeros(DIMENSIONS, np.float32)
    evidence = forms.Evidence(np.arange(shown, dtype=np.int32), np.zeros(shown, np.float32))
    said = {reply.query.id: reply.answer for reply in replies}
    others = cycle(said.values())
    return {
        query.id: {
            "embeddings": embedding,
            "evidence": evidence,
            "explanations": said[query.id] if query.id in said else next(others),
        }
        for query in queries
    }


def run(queries: Sequence[Query], known: Values, layering: Layering, sweeps: Sweeps) -> dict[str, Any]:
    """Every sweep: its settings, and each layer's hit rate at each."""

    def stream(length: int = LENGTH, exponent: float = EXPONENT) -> list[Request]:
        return requests(queries, length=length, exponent=exponent, seed=SEED)

    def lives(ttl_s: float) -> Layering:
        return layering._replace(ttl_s=Lifetimes(*[ttl_s] * len(LAYERS)))

    points: dict[str, list[tuple[float, dict[str, float]]]] = {
        "exponent": [(one, rates(stream(exponent=one), known, layering)) for one in sweeps.exponents],
        "length": [(one, rates(stream(length=one), known, layering)) for one in sweeps.lengths],
        "max_bytes": [(one, rates(stream(), known, layering, one)) for one in sweeps.max_bytes],
        "ttl_s": [(one, rates(stream(), known, lives(one))) for one in sweeps.ttl_s],
    }
    return {
        name: {"at": [at for at, _ in found], **{layer: [rate[layer] for _, rate in found] for layer in LAYERS}}
        for name, found in points.items()
    }


def rates(stream: Sequence[Request], known: Values, layering: Layering, max_bytes: int = UNBOUNDED) -> dict[str, float]:
    """Each layer's hit rate on a stream."""
    now_s = [0.0]
    with Cache("sweep", layering, Memory(max_bytes, lambda: now_s[0]), lambda: now_s[0]) as cache:
        scopes = {layer: cache.scope(layer, index="", encoder="", config={}) for layer in LAYERS}
        for request in stream:
            now_s[0] = request.time_s
            for layer, scope in scopes.items():
                value = known[request.query.id][layer]
                getattr(cache, layer).ask(scope, [request.query.text], lambda _, value=value: [value])
        found = cache.snapshot().layers
    return {layer: found[layer].hits / len(stream) for layer in LAYERS}
