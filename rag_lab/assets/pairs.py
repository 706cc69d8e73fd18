"""Scores of (query, passage) pairs kept on disk by content, so that none is computed twice.

As with vectors, one folder per identity holds immutable segments, written whole or not at all: an interrupted run
keeps what it finished, and concurrent runs never disturb each other. A query is known by its number, the identity
stands for the queries' texts; a passage by its key (`assets.vectors.key`).

Shapes: n pairs of a segment, m passages in it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.assets import arrays
from rag_lab.assets.vectors import KEY_BYTES


class Segment(NamedTuple):
    """Scores of pairs. keys: of the passages, end to end; place: which of them each pair has."""

    keys: Int[np.ndarray, " m*KEY_BYTES"]
    place: Int[np.ndarray, " n"]
    query: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]

    def passages(self) -> list[bytes]:
        """The passages' keys."""
        flat = self.keys.tobytes()
        return [flat[at : at + KEY_BYTES] for at in range(0, len(flat), KEY_BYTES)]


class PairStore:
    """The scores of one scorer for one list of queries. `identity` must change whenever either does."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder / identity

    def read(self) -> list[Segment]:
        """All that is kept."""
        found = (arrays.load(self.folder, path.stem, Segment) for path in sorted(self.folder.glob("[!.]*.npz")))
        return [segment for segment in found if segment is not None]

    def add(
        self,
        passages: list[bytes],
        place: Int[np.ndarray, " n"],
        query: Int[np.ndarray, " n"],
        score: Float[np.ndarray, " n"],
    ) -> None:
        """Keep the scores of these pairs as one new segment."""
        segment = Segment(
            np.frombuffer(b"".join(passages), np.uint8),
            place.astype(np.int32),
            query.astype(np.int32),
            score.astype(np.float32),
        )
        content = b"".join(one.tobytes() for one in segment[:3])
        arrays.keep(self.folder, hashlib.sha256(content).hexdigest()[:24], segment)
