"""A Redis or Valkey server as a store. Keys live as long as they are told to, by the server's clock.

Only SCAN walks over keys, and UNLINK deletes them in batches: never KEYS, never FLUSHDB, for others may live there
too. A claim is a key beside the value's that holds a token and ends by itself (`SET … NX PX`); only the token's
owner releases it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from rag_lab.cache.store import Claim, Health, Item, Refused, Unavailable
from rag_lab.cache.wire import Wire, accepted

CLAIM = b"claim:"  # before the key, so that no pattern of ours matches it
# Compare and delete in one step: between two a claim could end and become another's.
RELEASE = b"if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


class Server:
    """A store over a wire. Raises Unavailable and Refused."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._evicted_before: int | None = None

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values, None where there is none."""
        return self._wire.get(keys)

    def put_many(self, items: Sequence[Item]) -> None:
        """Keep them. Refused where one was not kept; others may have been."""
        for reply in self._wire.ask([(b"SET", key, value, b"PX", _ms(ttl_s)) for key, value, ttl_s in items]):
            accepted(reply)

    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Forget them."""
        for reply in self._wire.ask([(b"UNLINK", key) for key in keys]):
            accepted(reply)

    def flush(self, pattern: bytes) -> int:
        """Forget all keys that match a glob, a batch at a time."""
        count = 0
        for keys in self._wire.scan(pattern):
            count += sum(accepted(reply) for reply in self._wire.ask([(b"UNLINK", key) for key in keys]))
        return count

    def claim(self, keys: Sequence[bytes], token: bytes, hold_s: float) -> list[Claim]:
        """Try to become the one who computes each key; look at the value afterwards, in the same round trip."""
        if not hold_s:
            return [Claim(True, value) for value in self.get_many(keys)]
        commands: list[Sequence[bytes]] = []
        for key in keys:
            commands += [(b"SET", CLAIM + key, token, b"NX", b"PX", _ms(hold_s)), (b"GET", key)]
        replies = [accepted(reply) for reply in self._wire.ask(commands)]
        return [Claim(mine is not None, value) for mine, value in zip(replies[::2], replies[1::2], strict=True)]

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Give up what was claimed with this token."""
        for reply in self._wire.ask([(b"EVAL", RELEASE, b"1", CLAIM + key, token) for key in keys]):
            accepted(reply)

    def health(self) -> Health:
        """The server's evictions since this was first asked, of whatever keys."""
        try:
            now = self._wire.evictions()
        except (Unavailable, Refused):
            return Health({}, {}, ())
        before = now if self._evicted_before is None else self._evicted_before
        self._evicted_before = min(before, now)  # a restarted server counts anew
        return Health({"server": now - self._evicted_before}, {}, ())

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()


def _ms(seconds: float) -> bytes:
    return b"%d" % max(1, math.ceil(seconds * 1000))
