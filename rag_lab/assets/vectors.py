"""Vectors kept on disk by content, so that no text is encoded twice, over runs and over data sets.

One folder per encoder identity holds immutable segments. A segment is one `.npy` file of records
(key, vector), written whole or not at all, so an interrupted run keeps what it finished and concurrent runs
never disturb each other. The key is the first 16 bytes of the text's sha256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rag_lab.assets import atomic

KEY_BYTES = 16


def key(text: str) -> bytes:
    """The text's identity: 128 bits of its sha256, far beyond accidental collision."""
    return hashlib.sha256(text.encode()).digest()[:KEY_BYTES]


class VectorStore:
    """The vectors of one encoder. `identity` must change whenever the encoder's output would."""

    def __init__(self, folder: Path, identity: str, dimensions: int) -> None:
        self.folder = folder / identity
        self.record = np.dtype([("key", f"V{KEY_BYTES}"), ("vector", "<f4", (dimensions,))])
        self._segments: dict[str, np.ndarray] = {}
        self._place: dict[bytes, tuple[str, int]] = {}

    def refresh(self) -> None:
        """Index the segments that have appeared since the last look."""
        for path in sorted(self.folder.glob("[!.]*.npy")):
            if path.name in self._segments:
                continue
            segment = np.load(path, mmap_mode="r", allow_pickle=False)
            self._segments[path.name] = segment
            keys = np.ascontiguousarray(segment["key"]).tobytes()
            for row in range(len(segment)):
                self._place[keys[row * KEY_BYTES : (row + 1) * KEY_BYTES]] = (path.name, row)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The distinct texts without a vector, in first-seen order."""
        return [text for text in dict.fromkeys(texts) if key(text) not in self._place]

    def add(self, texts: Sequence[str], vectors: Float[np.ndarray, "texts dimensions"]) -> None:
        """Keep the vectors of `texts` as one new segment."""
        segment = np.empty(len(texts), self.record)
        segment["key"] = np.frombuffer(b"".join(map(key, texts)), f"V{KEY_BYTES}")
        segment["vector"] = vectors
        name = hashlib.sha256(segment["key"].tobytes()).hexdigest()[:24] + ".npy"
        with atomic.write(self.folder / name) as temporary:
            np.save(temporary, segment)
        self.refresh()

    def get(self, texts: Sequence[str]) -> Float[np.ndarray, "texts dimensions"]:
        """The vectors of `texts`, in order. KeyError where one was never added."""
        out = np.empty((len(texts), self.record["vector"].shape[0]), np.float32)
        wanted: dict[str, tuple[list[int], list[int]]] = {}
        for position, text in enumerate(texts):
            name, row = self._place[key(text)]
            rows, positions = wanted.setdefault(name, ([], []))
            rows.append(row)
            positions.append(position)
        for name, (rows, positions) in wanted.items():
            out[positions] = self._segments[name]["vector"][rows]
        return out
