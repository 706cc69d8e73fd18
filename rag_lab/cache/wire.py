"""Talking to a Redis or Valkey server: commands out, replies in, foreign errors mapped to ours.

Commands go packed, all in one write, and the replies are read in one go, through redis-py's pooled connections: its
own `get` costs a third more.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import redis
from redis.connection import DefaultParser

from rag_lab.cache.store import Refused, Unavailable

SCAN_BATCH = 500  # keys looked at in one step: the server serves others in between

Command = Sequence[bytes]


class Wire(Protocol):
    """A way to a server. Raises Unavailable where there is none; a refusal is an exception among the replies."""

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order."""
        ...

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys, None where there is none. Raises Refused too."""
        ...

    def scan(self, pattern: bytes) -> Iterator[list[bytes]]:
        """The keys that match, some at a time. Raises Refused too."""
        ...

    def evictions(self) -> int:
        """Keys that the server has evicted since it started. Raises Refused too."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def parser(limit_s: float) -> type[Any]:
    """redis-py's parser, giving up on a reply that comes in pieces, each in time, without an end."""

    class Hasty(DefaultParser):  # type: ignore[misc]
        deadline = math.inf

        def read_response(self, *given: Any, **options: Any) -> Any:
            self.deadline = time.monotonic() + limit_s
            return super().read_response(*given, **options)

        def read_from_socket(self, *given: Any, **options: Any) -> Any:
            if time.monotonic() > self.deadline:
                raise redis.TimeoutError("the reply comes too slowly")
            return super().read_from_socket(*given, **options)

    return Hasty


class Single:
    """One server, or the leader that sentinels name."""

    def __init__(self, pool: redis.ConnectionPool, whole_s: float) -> None:
        self._pool, self._whole_s = pool, whole_s

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order."""
        try:
            connection = self._pool.get_connection()
        except (redis.RedisError, OSError) as error:  # a refusal, too: of the user, the password, the database
            raise Unavailable(line(error)) from error
        try:
            connection.send_packed_command([b"".join(map(_pack, commands))])
            deadline = time.monotonic() + self._whole_s
            return [_reply(connection, deadline) for _ in commands]
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise Unavailable(line(error)) from error
        except BaseException:  # interrupted between two replies: the next caller must not get the rest
            connection.disconnect()
            raise
        finally:
            self._pool.release(connection)

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys."""
        if len(keys) == 1:
            return [accepted(self.ask([(b"GET", keys[0])])[0])]
        return accepted(self.ask([(b"MGET", *keys)])[0])

    def scan(self, pattern: bytes) -> Iterator[list[bytes]]:
        """The keys that match, some at a time."""
        cursor = b"0"
        while True:
            (found,) = self.ask([(b"SCAN", cursor, b"MATCH", pattern, b"COUNT", b"%d" % SCAN_BATCH)])
            cursor, keys = accepted(found)
            if keys:
                yield keys
            if cursor == b"0":
                return

    def evictions(self) -> int:
        """Keys that the server has evicted since it started."""
        (found,) = self.ask([(b"INFO", b"stats")])
        return _evicted(accepted(found).decode())

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()


def accepted(reply: Any) -> Any:
    """The reply; Refused where it is a refusal."""
    if isinstance(reply, Exception):
        raise Refused(line(reply)) from reply
    return reply


def _pack(command: Command) -> bytes:
    """A command in RESP, the servers' protocol."""
    first, *words = command
    head = b"*%d\r\n$%d\r\n%b\r\n" % (len(command), len(first), first)
    if words and len(set(map(len, words))) == 1:  # as the keys of a layer: nothing to count
        size = b"$%d\r\n" % len(words[0])
        return head + size + (b"\r\n" + size).join(words) + b"\r\n"
    return head + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


def _reply(connection: Any, deadline: float) -> Any:
    if time.monotonic() > deadline:
        raise redis.TimeoutError("the replies come too slowly")
    try:
        return connection.read_response(disable_decoding=True)
    except redis.ResponseError as refusal:
        return refusal


def _evicted(info: str) -> int:
    return int(info.partition("evicted_keys:")[2].split()[0])


def line(error: BaseException) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
