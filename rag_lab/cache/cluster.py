"""A cluster of servers, through redis-py's client, which knows the nodes and follows slots that move."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rag_lab.cache.store import Unavailable
from rag_lab.cache.wire import SCAN_BATCH, Command, accepted, line

FAILURES = (redis.RedisError, redis.exceptions.RedisClusterException, OSError)


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
        except FAILURES as error:
            raise Unavailable(line(error)) from error

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
        except FAILURES as error:
            raise Unavailable(line(error)) from error
        if found:
            yield found

    def evictions(self) -> int:
        """Keys that the nodes have evicted since they started."""
        try:
            found = self._met().info("stats", target_nodes=redis.RedisCluster.PRIMARIES)
        except FAILURES as error:
            raise Unavailable(line(error)) from error
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
