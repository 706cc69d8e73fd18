"""Whether values end on time: on the store that the run has chosen, in real time, layer by layer.

Lives of half an hour cannot be waited for; values are given lives of seconds and watched on the store itself, past
the layer's own check, until they are gone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float
from pydantic import Field

from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import LAYERS, Lifetimes, Opener
from rag_lab.types import Answer

PAUSE_S = 0.005  # between two looks: as good as any for a target of a second
PATIENCE_S = 5.0  # past its end, until a value counts as never ending
EXAMPLES: Mapping[str, Any] = {
    "embeddings": np.ones(384, np.float32),
    "evidence": Evidence(np.arange(10, dtype=np.int32), np.ones(10, np.float32)),
    "explanations": Answer("An answer.", ("p1",)),
}


class Expiry(NamedTuple):
    """Settings. ttl_s: the lives given, a layer's own; values: how many of each."""

    ttl_s: Lifetimes
    values: Annotated[int, Field(ge=2)]


def lateness(opener: Opener, settings: Expiry) -> dict[str, Float[np.ndarray, " values"]]:
    """Seconds from each value's end by its own time to its being gone, by layer; negative: gone before its end."""
    with opener._replace(layering=opener.layering._replace(ttl_s=settings.ttl_s)).open() as cache:
        ends: dict[bytes, float] = {}
        layer_of: dict[bytes, str] = {}
        for layer in LAYERS:
            scope = cache.scope(layer, index="expiry", encoder="", config={})
            for key in scope.keys([str(number) for number in range(settings.values)], None):
                ends[key] = time.time() + _put(cache, layer, key)
                layer_of[key] = layer
        gone: dict[str, list[float]] = {layer: [] for layer in LAYERS}
        waiting = list(ends)
        while waiting:
            found, now = cache.store.get_many(waiting), time.time()
            for key, value in zip(waiting, found, strict=True):
                if value is None or now > ends[key] + PATIENCE_S:
                    gone[layer_of[key]].append(now - ends[key])
            waiting = [
                key
                for key, value in zip(waiting, found, strict=True)
                if value is not None and now <= ends[key] + PATIENCE_S
            ]
            time.sleep(PAUSE_S)
    return {layer: np.array(each) for layer, each in gone.items()}


def _put(cache: Any, layer: str, key: bytes) -> float:
    """Put a value; the life that it was given, jitter included."""
    remember = getattr(cache, layer)
    item = remember.item(key, EXAMPLES[layer], 0.0)
    cache.store.put_many([item])
    return float(item.ttl_s)
