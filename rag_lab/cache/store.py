"""What keeps bytes by key for a time, and how it says that it cannot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Unavailable(Exception):
    """A server that cannot be reached, does not answer in time, or breaks off. Never leaves the package."""


class Refused(Exception):
    """A server that answers, and will not: memory full, read-only, not permitted. Never leaves the package."""


class Item(NamedTuple):
    """What is to be kept. ttl_s: from now on, in the store's own time."""

    key: bytes
    value: bytes
    ttl_s: float


class Claim(NamedTuple):
    """An attempt to be the one who computes: whether it is mine now, and the value if there is one already."""

    mine: bool
    value: bytes | None


class Health(NamedTuple):
    """How a store has fared. evictions: by layer; of a server as "server", for it does not know our layers.

    errors: calls that failed, by layer. notes: each once, in the order of their first time.
    """

    evictions: Mapping[str, int]
    errors: Mapping[str, int]
    notes: tuple[str, ...]


class Patience(NamedTuple):
    """How long to wait for a connection, for each read, and for all replies to one request together; how many
    connections to hold at most."""

    connect_timeout_s: float
    read_timeout_s: float
    whole_s: float
    connections: int


class Store(Protocol):
    """Bytes by key. Safe for threads. Keys asked are never none. A server's may raise Unavailable and Refused,
    others raise nothing."""

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values, None where there is none."""
        ...

    def put_many(self, items: Sequence[Item]) -> None:
        """Keep them."""
        ...

    def delete_many(self, keys: Sequence[bytes]) -> None:
        """Forget them; unknown ones are none."""
        ...

    def flush(self, pattern: bytes) -> int:
        """Forget all keys that match a glob, a batch at a time; how many there were."""
        ...

    def claim(self, keys: Sequence[bytes], token: bytes, hold_s: float) -> list[Claim]:
        """Try to become the one who computes each key, for hold_s at most."""
        ...

    def release(self, keys: Sequence[bytes], token: bytes) -> None:
        """Give up what was claimed with this token."""
        ...

    def health(self) -> Health:
        """How it has fared since it was opened."""
        ...

    def close(self) -> None:
        """Let go of connections and processes."""
        ...
