"""A cache: three layers over one store, and what every variant opens it with.

`build` of a variant returns an `Opener`: nothing is started or connected until it is opened, and what was
opened is closed at the end of its `with` block.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rag_lab.cache import forms
from rag_lab.cache.counters import Counts, Snapshot
from rag_lab.cache.forms import Evidence
from rag_lab.cache.keys import Scope, pattern, scope
from rag_lab.cache.layers import Clock, Layer, Remembers, Rules, Through
from rag_lab.cache.promise import Semantic
from rag_lab.cache.store import Store
from rag_lab.types import Answer

LayerName = Literal["embeddings", "evidence", "explanations"]
LAYERS: tuple[LayerName, ...] = get_args(LayerName)
# Nothing that could be a separator or a glob's special character.
Namespace = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")]
Seconds = Annotated[float, Field(gt=0)]


class Lifetimes(NamedTuple):
    """How long each layer's values live."""

    embeddings: Seconds
    evidence: Seconds
    explanations: Seconds


class Layering(NamedTuple):
    """What all variants set alike; see `layers.Rules` and, for near questions, `promise`."""

    ttl_s: Lifetimes
    negative_ttl_s: Seconds
    jitter: Annotated[float, Field(ge=0, lt=1)]
    early_refresh: Annotated[float, Field(ge=0)]
    hold_s: Annotated[float, Field(ge=0)]
    compress_above: Annotated[int, Field(ge=0)]
    semantic: Semantic

    def rules(self, layer: LayerName) -> Rules:
        """One layer's."""
        ttl_s = float(getattr(self.ttl_s, layer))
        return Rules(ttl_s, min(self.negative_ttl_s, ttl_s), *self[2:-1])


class Cache:
    """Three layers at work. Close it."""

    embeddings: Remembers[Float[np.ndarray, " D"]]
    evidence: Remembers[Evidence]
    explanations: Remembers[Answer]

    def __init__(self, namespace: str, layering: Layering, store: Store, clock: Clock) -> None:
        self.namespace, self.store, self.semantic = namespace, store, layering.semantic
        self._notes: list[str] = []
        self.embeddings = Layer(forms.EMBEDDING, store, layering.rules("embeddings"), clock)
        self.evidence = Layer(forms.EVIDENCE, store, layering.rules("evidence"), clock)
        self.explanations = Layer(forms.EXPLANATION, store, layering.rules("explanations"), clock)

    def scope(self, layer: LayerName, *, index: str, encoder: str, config: Mapping[str, Any]) -> Scope:
        """The keys of a layer; see `keys.scope`."""
        return scope(self.namespace, layer, index=index, encoder=encoder, config=config)

    def flush(self, layer: LayerName | None = None) -> int:
        """Forget a layer, or all; how many values there were."""
        return self.store.flush(pattern(self.namespace, layer or "*"))

    def invalidate(self, index: str) -> int:
        """Forget whatever was found in an index, known by its fingerprint; how many values there were."""
        return self.store.flush(pattern(self.namespace, index=index))

    def snapshot(self) -> Snapshot:
        """The numbers now."""
        health = self.store.health()
        layers: dict[str, Counts] = {
            name: getattr(self, name)
            .counts()
            ._replace(errors=health.errors.get(name, 0), evictions=health.evictions.get(name, 0))
            for name in LAYERS
        }
        return Snapshot(layers, health.evictions.get("server", 0), (*health.notes, *self._notes))

    def tell(self, note: str) -> None:
        """What a reader of the run must be told, beside what the store has to tell."""
        self._notes.append(note)

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Nothing:
    """A cache that remembers nothing, and costs nothing."""

    def __init__(self) -> None:
        self.embeddings = self.evidence = self.explanations = Through()

    def scope(self, layer: LayerName, *, index: str, encoder: str, config: Mapping[str, Any]) -> Scope:
        """Of no use to anybody."""
        return Scope(b"")

    def flush(self, layer: LayerName | None = None) -> int:
        """There is nothing to forget."""
        return 0

    def invalidate(self, index: str) -> int:
        """There is nothing to forget."""
        return 0

    def snapshot(self) -> Snapshot:
        """No layer, no numbers."""
        return Snapshot({}, 0, ())

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *exc: object) -> None: ...


class Opener(NamedTuple):
    """A cache as configured, not yet open."""

    namespace: str
    layering: Layering
    store: Callable[[], Store]

    def open(self, clock: Clock = time.time) -> Cache:
        """Open it. clock: seconds by which values age; virtual in an experiment."""
        return Cache(self.namespace, self.layering, self.store(), clock)
