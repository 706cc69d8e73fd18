"""Real servers that keep Optuna's studies, each for the length of a test session, on ports of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_S = 60


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def redis(folder: Path) -> Iterator[str]:
    """A Redis server's URL; the test skips where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        _wait(lambda: _listens(port), process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(LIMIT_S)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server's URL; the test skips where there is none, or no driver for it."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: the extra `postgresql` has it")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    programs = Path(initdb).parent if (initdb := shutil.which("initdb")) else found[-1] if found else None
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed: apt-get install postgresql")
    # The server refuses to run as root, and its user must get to its files.
    user = ("runuser", "-u", "postgres", "--") if os.geteuid() == 0 else ()
    with tempfile.TemporaryDirectory() as home:
        if user:
            shutil.chown(home, "postgres")
        data, port = Path(home) / "data", free_port()

        def call(program: str, *arguments: str) -> None:
            command = [*user, programs / program, "-D", data, *arguments]
            subprocess.run(command, check=True, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        call("initdb", "-U", "lab", "--auth=trust", "--no-sync")
        options = f"-p {port} -k {home} -c fsync=off -c max_connections=30"
        call("pg_ctl", "start", "-w", "-o", options, "-l", f"{home}/log")
        try:
            yield f"postgresql://lab:secret@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "stop", "-m", "immediate")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not ready():
        assert process.poll() is None, f"{process.args} ended with status {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args} does not answer"
        time.sleep(0.05)


def take_part(url: str, name: str, total: int, dying: bool = False) -> list[int]:
    """In a process of its own: claim trials of a study and finish them until none is left; which ones.

    dying: claim two, finish none, and be killed.
    """
    from rag_lab.sweep import ledger, methods, space, storage

    searched = space.read({"x": "interval(0,1)"}, [], None)
    terms = ledger.Terms(["maximize score"], {"x": "interval(0,1)"}, "")
    sampler = methods.sampler({"_target_": "optuna.samplers.RandomSampler"}, 0, "")
    pruner = methods.pruner({"_target_": "optuna.pruners.NopPruner"}, "")
    done = []
    with storage.opened(url) as kept:
        study = ledger.open_study(kept, url, name, terms, sampler, pruner)
        book = ledger.Ledger(study, kept, searched, total, 60.0)
        while trial := book.claim():
            if dying and trial.number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if not dying:
                book.finish(trial, [trial.params["x"]], {})
                done.append(trial.number)
    return done
