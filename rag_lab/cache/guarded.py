"""A server that may fail, with memory to fall back on: the run goes on, and says so once.

One circuit breaker opens where the server cannot be reached, another where it refuses to be written, for it is
full or read-only: it still serves what it has. What cannot be written is kept in memory, which is looked into for
whatever the server does not have. When a server answers again it is used again; what was flushed meanwhile is
flushed there first, so that nothing returns from the dead.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Annotated, NamedTuple, TypeVar

from pydantic import Field

from rag_lab.cache.breaker import Breaker
from rag_lab.cache.keys import layer_of
from rag_lab.cache.memory import Memory
from rag_lab.cache.store import Claim, Health, Item, Patience, Refused, Store, Unavailable

Result = TypeVar("Result")
LOG = logging.getLogger(__name__)
Milliseconds = Annotated[float, Field(gt=0)]


class Guard(NamedTuple):
    """How much is put up with.

    connect_timeout_ms, read_timeout_ms: for a connection, and for each read from it; one call may take both.
    failures: in a row, or beyond one call in ten, until the server is left alone for cooldown_s. connections: at
    most; one more caller does without. spare_bytes: of the memory to fall back on.
    """

    connect_timeout_ms: Milliseconds
    read_timeout_ms: Milliseconds
    failures: Annotated[int, Field(ge=1)]
    cooldown_s: Annotated[float, Field(gt=0)]
    connections: Annotated[int, Field(ge=1)]
    spare_bytes: Annotated[int, Field(ge=0)]

    @property
    def patience(self) -> Patience:
        """The same, as a wire wants it."""
        connect_s, read_s = self.connect_timeout_ms / 1000, self.read_timeout_ms / 1000
        return Patience(connect_s, read_s, connect_s + read_s, self.connections)


class Guarded:
    """A store that raises nothing. address: the server's; name: what users know it by."""

    def __init__(self, server: Store, address: str, name: str, guard: Guard) -> None:
        self._server, self.address, self._name = server, address, name
        self._spare = Memory(guard.spare_bytes)
        self._slow_s = guard.patience.whole_s
        self._reaching = Breaker(guard.failures, guard.cooldown_s)
        self._writing = Breaker(guard.failures, guard.cooldown_s)
        self._lock = Lock()
        self._errors: Counter[str] = Counter()
        self._notes: dict[str, str] = {}
        self._unflushed: dict[bytes, None] = {}

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The server's values, and memory's where it has none."""
        found = self._try(keys[0], lambda: self._server.get_many(keys))
        if found is None:
            return self._spare.get_many(keys)
        if len(self._spare):
            missing = [place for place, value in enumerate(found) if value is None]
            for place, value in zip(missing, self._spare.get_many([keys[one] for one in missing]), strict=True):
                found[place] = value
        return found

    def put_many(self, items: Sequence[Item]) -> None:
        """Keep them on the server, or else in memory."""
        if not self._write(items[0].key, lambda: self._server.put_many(items)):
            self._spare.put_many(items)

    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Forget them in both places."""
        self._spare.delete_many(keys)
        self._write(keys[0], lambda: self._server.delete_many(keys))

    def flush(self, pattern: bytes) -> int:
        """Forget all keys that match, in both places; on a server that cannot be reached, when it can again."""
        count = self._spare.flush(pattern)
        flushed = self._try(pattern, lambda: self._server.flush(pattern), writes=True, many=True)
        if flushed is None:
            self._unflushed[pattern] = None
        return count + (flushed or 0)

    def claim(self, keys: Sequence[bytes], token: bytes, hold_s: float) -> list[Claim]:
        """The server's claims; without a server this process need not wait for others."""
        claims = self._try(keys[0], lambda: self._server.claim(keys, token, hold_s), writes=True)
        if claims is None:
            return [Claim(True, value) for value in self.get_many(keys)]
        return claims

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Give up what was claimed; without a server it ends by itself."""
        self._write(keys[0], lambda: self._server.release(keys, token))

    def health(self) -> Health:
        """Of both; a failed call of the server is an error."""
        spare, server = self._spare.health(), self._server.health()
        with self._lock:
            return Health({**spare.evictions, **server.evictions}, dict(self._errors), tuple(self._notes.values()))

    def close(self) -> None:
        """Let go of both."""
        self._spare.close()
        self._server.close()

    def _write(self, key: bytes, call: Callable[[], None]) -> bool:
        """Whether the call went well."""

        def done() -> bool:
            call()
            return True

        return self._try(key, done, writes=True) is not None

    def _try(
        self, key: bytes, call: Callable[[], Result], *, writes: bool = False, many: bool = False
    ) -> Result | None:
        """What the call returns; None where it fails, or a breaker is open. key: one of those that it is about;
        many: it takes many round trips, and may take its time."""
        if (writes and not self._writing.allows()) or not self._reaching.allows():
            return None
        started = time.monotonic()
        try:
            for pattern in list(self._unflushed):
                self._server.flush(pattern)
                self._unflushed.pop(pattern, None)
                started = time.monotonic()
            result = call()
        except Refused as failure:
            self._fail(self._writing if writes else self._reaching, key, str(failure), started)
            return None
        except Unavailable as failure:
            self._fail(self._reaching, key, str(failure), started)
            return None
        if not many and time.monotonic() - started > self._slow_s:  # each reply came in time, but there were many
            self._fail(self._reaching, key, "it answers too slowly", started)
        elif self._reaching.succeed():
            self._say(f"cache: {self._name} answers again and is used again")
        if writes and self._writing.succeed():
            self._say(f"cache: {self._name} can be written again")
        return result

    def _fail(self, breaker: Breaker, key: bytes, why: str, started: float) -> None:
        with self._lock:
            self._errors[layer_of(key)] += 1
        if breaker.fail(time.monotonic() - started):
            trouble = "refuses to be written" if breaker is self._writing else "cannot be used"
            self._say(f"cache: {self._name} {trouble} ({why}); the run goes on, remembering in memory", trouble)

    def _say(self, note: str, about: str = "") -> None:
        """Note it and log it, once for each thing that it is about."""
        with self._lock:
            key = about or note
            if key in self._notes:
                return
            self._notes[key] = note
        LOG.warning(note)
