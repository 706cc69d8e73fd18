"""Remembered in this process: bounded by bytes, the least recently used leave first. Needs no server.

Time is the monotonic clock, so that a clock that is set moves nothing.
"""

from __future__ import annotations

import fnmatch
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Annotated

from pydantic import Field

from rag_lab.cache.keys import layer_of
from rag_lab.cache.layering import Layering, Namespace, Opener
from rag_lab.cache.store import Claim, Health, Item

ENTRY_BYTES = 256  # of Python's own for an entry: two bytes objects, a tuple, a float, a place in the dictionary


class Memory:
    """A store in a dictionary."""

    def __init__(self, max_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        self.max_bytes, self._now = max_bytes, now
        self._lock = Lock()
        self._kept: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._evictions: Counter[str] = Counter()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values, None where there is none."""
        now = self._now()
        with self._lock:
            return [self._get(key, now) for key in keys]

    def put_many(self, items: Sequence[Item]) -> None:
        """Keep them; what is too large for the bound alone is not kept, and counts as evicted."""
        now = self._now()
        with self._lock:
            for key, value, ttl_s in items:
                self._drop(key)
                self._kept[key] = value, now + ttl_s
                self.bytes += _size(key, value)
            while self.bytes > self.max_bytes:
                key = next(iter(self._kept))
                self._drop(key)
                self._evictions[layer_of(key)] += 1

    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Forget them."""
        with self._lock:
            for key in keys:
                self._drop(key)

    def flush(self, pattern: bytes) -> int:
        """Forget all keys that match a glob."""
        matches = re.compile(fnmatch.translate(pattern.decode()).encode()).match
        with self._lock:
            found = [key for key in self._kept if matches(key)]
            for key in found:
                self._drop(key)
        return len(found)

    def claim(self, keys: Sequence[bytes], token: bytes, hold_s: float) -> list[Claim]:
        """Nobody else sees this store: threads of this process have settled it among themselves."""
        return [Claim(True, value) for value in self.get_many(keys)]

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Nothing was held."""

    def health(self) -> Health:
        """Evictions by layer."""
        with self._lock:
            return Health(dict(self._evictions), {}, ())

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self.bytes = 0

    def _get(self, key: bytes, now: float) -> bytes | None:
        found = self._kept.get(key)
        if found is None:
            return None
        if found[1] <= now:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return found[0]

    def _drop(self, key: bytes) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.bytes -= _size(key, found[0])


def _size(key: bytes, value: bytes) -> int:
    return len(key) + len(value) + ENTRY_BYTES


def build(*, namespace: Namespace, layers: Layering, max_bytes: Annotated[int, Field(ge=1)]) -> Opener:
    """A cache in this process. max_bytes: of keys, values and what Python adds to them, over all layers."""
    return Opener(namespace, layers, lambda: Memory(max_bytes))
