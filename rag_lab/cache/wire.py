"""Talking to a Redis or Valkey server: commands out, replies in, foreign errors mapped to ours.

Addresses: `redis://[user:password@]host:port/db`, `rediss://` for TLS, `unix://path?db=0`;
`redis+cluster://host:port` (any node) and `redis+sentinel://host:port,host:port/service/db`, each with
`rediss+…` for TLS. What redis-py allows behind `?` is passed on to it.

To one server commands go packed, all in one write, and the replies are read in one go, through redis-py's pooled
connections: its own `get` costs a third more. A cluster's go through redis-py's pipeline, which knows the nodes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit, urlunsplit

import redis
from redis.backoff import NoBackoff
from redis.connection import DefaultParser
from redis.retry import Retry
from redis.sentinel import Sentinel

from rag_lab.cache.store import Patience, Refused, Unavailable
from rag_lab.errors import ConfigError

SCHEMES = ("redis", "rediss", "unix", "redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel")
SENTINEL_PORT = 26379
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


def connect(url: str, patience: Patience) -> Wire:
    """The way to an address; nothing is sent yet. ConfigError where the address cannot be read."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ConfigError(f"cache.url: given '{redact(url)}'; allowed are {'://, '.join(SCHEMES)}:// addresses")
    options: dict[str, Any] = {
        "socket_connect_timeout": patience.connect_timeout_s,
        "socket_timeout": patience.read_timeout_s,
        "max_connections": patience.connections,
        "retry": Retry(NoBackoff(), 0),  # a second try would double the wait, and its caller can do without
        "protocol": 2,  # knows all that is used here, and needs no greeting
    }
    if not scheme.startswith("rediss"):
        options["driver_info"] = None  # nor a card; but TLS 1.3's tickets come with the reply to it, not to a question
    plain = url.replace("+cluster", "", 1).replace("+sentinel", "", 1)
    try:
        if scheme.endswith("+cluster"):
            return Cluster(plain, options)
        options["parser_class"] = _hasty(patience.whole_s)
        pool = _sentinel(plain, options) if scheme.endswith("+sentinel") else None
        return Single(pool or redis.ConnectionPool.from_url(url, **options), patience.whole_s)
    except (ValueError, TypeError) as error:
        raise ConfigError(f"cache.url: given '{redact(url)}', which cannot be read: {error}") from error


def redact(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _hasty(limit_s: float) -> type[Any]:
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


def _sentinel(url: str, options: dict[str, Any]) -> redis.ConnectionPool:
    """The pool of connections to whichever server the sentinels say leads the service."""
    parts = urlsplit(url)
    hosts = [
        (host, int(port or SENTINEL_PORT))
        for host, _, port in (one.partition(":") for one in parts.netloc.rpartition("@")[2].split(","))
    ]
    service, _, database = parts.path.strip("/").partition("/")
    if not service:
        raise ValueError("the service's name is missing: …/<service>/<db>")
    who = {"username": parts.username, "password": parts.password}
    whole = {
        **options,
        **{name: unquote(value) for name, value in who.items() if value},
        "db": int(database or 0),
        "ssl": parts.scheme == "rediss",
    }
    return Sentinel(hosts, **whole).master_for(service).connection_pool


class Single:
    """One server, or the leader that sentinels name."""

    def __init__(self, pool: redis.ConnectionPool, whole_s: float) -> None:
        self._pool, self._whole_s = pool, whole_s

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order."""
        try:
            connection = self._pool.get_connection()
        except (redis.RedisError, OSError) as error:  # a refusal, too: of the user, the password, the database
            raise Unavailable(_line(error)) from error
        try:
            connection.send_packed_command([b"".join(map(_pack, commands))])
            deadline = time.monotonic() + self._whole_s
            return [_reply(connection, deadline) for _ in commands]
        except (redis.RedisError, OSError) as error:
            connection.disconnect()
            raise Unavailable(_line(error)) from error
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


class Cluster:
    """A cluster, met when it is first asked."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        redis.connection.parse_url(url)
        self._url = url
        # One more try, for a slot that has moved to another node.
        self._options = {**options, "retry": Retry(NoBackoff(), 1)}
        self._options.pop("driver_info", None)
        self._client: redis.RedisCluster | None = None

    def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies, in order."""
        try:
            with self._met().pipeline() as pipeline:
                for name, *words in commands:
                    pipeline.execute_command(name.decode(), *words)
                return pipeline.execute(raise_on_error=False)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise Unavailable(_line(error)) from error

    def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values of keys, each from its node."""
        return [accepted(reply) for reply in self.ask([(b"GET", key) for key in keys])]

    def scan(self, pattern: bytes) -> Iterator[list[bytes]]:
        """The keys that match, some at a time."""
        found: list[bytes] = []
        try:
            for key in self._met().scan_iter(match=pattern, count=SCAN_BATCH):
                found.append(key)
                if len(found) == SCAN_BATCH:
                    yield found
                    found = []
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise Unavailable(_line(error)) from error
        if found:
            yield found

    def evictions(self) -> int:
        """Keys that the nodes have evicted since they started."""
        try:
            found = self._met().info("stats", target_nodes=redis.RedisCluster.PRIMARIES)
        except (redis.RedisError, redis.exceptions.RedisClusterException, OSError) as error:
            raise Unavailable(_line(error)) from error
        nodes = found.values() if "evicted_keys" not in found else [found]
        return sum(int(node["evicted_keys"]) for node in nodes)

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def _met(self) -> redis.RedisCluster:
        if self._client is None:
            self._client = redis.RedisCluster.from_url(self._url, **self._options)
        return self._client


def accepted(reply: Any) -> Any:
    """The reply; Refused where it is a refusal."""
    if isinstance(reply, Exception):
        raise Refused(_line(reply)) from reply
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


def _line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
