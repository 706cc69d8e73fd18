"""Remembered on a Redis or Valkey server that others may share, with memory to fall back on."""

from __future__ import annotations

import os

from rag_lab.cache.guarded import Guard, Guarded
from rag_lab.cache.layering import Layering, Namespace, Opener
from rag_lab.cache.store import Store


def build(*, namespace: Namespace, layers: Layering, url: str, url_variable: str, guard: Guard) -> Opener:
    """A cache on a server.

    url: see `address`. url_variable: the environment variable that wins over it where it is set: an
    address with a password belongs there, for the configuration is recorded.
    """

    def store() -> Store:
        from rag_lab.cache.address import connect, redact
        from rag_lab.cache.server import Server

        address = os.environ.get(url_variable) or url
        return Guarded(Server(connect(address, guard.patience)), address, redact(address), guard)

    return Opener(namespace, layers, store)
