"""Scores of (passage, query) pairs kept on disk by content, so that none is computed twice, over runs and data.

As with vectors, one folder per scorer holds immutable segments, written whole or not at all: an interrupted run
keeps what it finished, and concurrent runs never disturb each other. Texts are known by their keys
(`assets.vectors.key`).

Shapes: n pairs of a segment, B bytes of its passages' or queries' keys, end to end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from rag_lab.assets import arrays
from rag_lab.assets.vectors import KEY_BYTES


class Pairs(NamedTuple):
    """Pairs by the numbers that the caller gives to texts, and their scores."""

    passage: Int[np.ndarray, " n"]
    query: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]


class _Segment(NamedTuple):
    """As kept: numbers are places among the segment's own keys."""

    passages: UInt8[np.ndarray, " B"]
    queries: UInt8[np.ndarray, " B"]
    passage: Int[np.ndarray, " n"]
    query: Int[np.ndarray, " n"]
    score: Float[np.ndarray, " n"]


class PairStore:
    """The scores of one scorer. `identity` must change whenever its scores would."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder / identity

    def read(self, passages: Mapping[bytes, int], queries: Mapping[bytes, int]) -> Pairs:
        """Every kept pair of these texts, given their numbers by key."""
        found = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))]
        for path in sorted(self.folder.glob("[!.]*.npz")):
            segment = arrays.load(self.folder, path.stem, _Segment)
            assert segment is not None
            passage = _numbers(segment.passages, passages)[segment.passage]
            query = _numbers(segment.queries, queries)[segment.query]
            own = (passage >= 0) & (query >= 0)
            found.append(Pairs(passage[own], query[own], segment.score[own]))
        return Pairs(*map(np.concatenate, zip(*found, strict=True)))

    def add(self, pairs: Pairs, passages: Sequence[bytes], queries: Sequence[bytes]) -> None:
        """Keep pairs as one new segment. passages, queries: the key behind each number."""
        (held, passage), (asked, query) = _keys(pairs.passage, passages), _keys(pairs.query, queries)
        name = hashlib.sha256(b"".join(one.tobytes() for one in (held, asked, passage, query))).hexdigest()[:24]
        arrays.keep(self.folder, name, _Segment(held, asked, passage, query, pairs.score))


def _keys(
    numbers: Int[np.ndarray, " n"], keys: Sequence[bytes]
) -> tuple[UInt8[np.ndarray, " B"], Int[np.ndarray, " n"]]:
    """The keys in use, and the place of each number's among them."""
    used, place = np.unique(numbers, return_inverse=True)
    return np.frombuffer(b"".join(keys[number] for number in used), np.uint8), place.astype(np.int32)


def _numbers(flat: UInt8[np.ndarray, " B"], number: Mapping[bytes, int]) -> Int[np.ndarray, " m"]:
    """The number of each key; -1 where it has none."""
    joined = flat.tobytes()
    found = (number.get(joined[at : at + KEY_BYTES], -1) for at in range(0, len(joined), KEY_BYTES))
    return np.fromiter(found, np.int64, len(joined) // KEY_BYTES)
