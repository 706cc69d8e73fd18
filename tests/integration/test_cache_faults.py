"""A real server, treated badly: every answer is what computing gives, none is lost, none waits for long."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import redis as redis_py
from servers import GUARD, LAYERING, Proxy, Server

from rag_lab.cache import redis
from rag_lab.cache.forms import Evidence
from rag_lab.cache.keys import layer_of
from rag_lab.cache.layering import LAYERS, Cache
from rag_lab.types import Answer

# What one call may take before it is given up; and, since none may wait, what the 95th percentile of requests may.
BOUND_S = (GUARD.connect_timeout_ms + GUARD.read_timeout_ms) / 1000
RECOVERY_S = 20.0  # until a server that is back must be in use again: many times the breaker's cooldown
QUESTIONS = 40
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def connect(url: str, clock: Callable[[], float] = time.time) -> Cache:
    opener = redis.build(namespace="n", layers=LAYERING, url=url, url_variable="RAG_LAB_UNSET", guard=GUARD)
    return opener.open(clock)


class Lab:
    """A stand-in for the pipeline's stages, deterministic in the question, asked through a cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.asked = cache, 0
        self.seconds: list[float] = []
        self._scope = {layer: cache.scope(layer, index="i", encoder="e", config={}) for layer in LAYERS}

    @staticmethod
    def embedding(text: str) -> np.ndarray:
        return np.random.default_rng(list(text.encode())).standard_normal(384, np.float32)

    @staticmethod
    def evidence(text: str) -> Evidence:
        places = np.random.default_rng(list(text.encode())).permutation(1000)[:10].astype(np.int32)
        return Evidence(places, (places / 1000).astype(np.float32))

    @staticmethod
    def explanation(text: str) -> Answer:
        return Answer(f"{text} " * 30, (text, "p"))

    def request(self, text: str) -> None:
        """One request through all layers: the answer must be the uncached one."""
        started = time.perf_counter()
        (vector,) = self.cache.embeddings.ask(self._scope["embeddings"], [text], lambda _: [self.embedding(text)])
        (found,) = self.cache.evidence.ask(self._scope["evidence"], [text], lambda _: [self.evidence(text)])
        (said,) = self.cache.explanations.ask(self._scope["explanations"], [text], lambda _: [self.explanation(text)])
        self.seconds.append(time.perf_counter() - started)
        assert (vector == self.embedding(text)).all() and said == self.explanation(text)
        assert all((one == other).all() for one, other in zip(found, self.evidence(text), strict=True))
        self.asked += 1

    def run(self, requests: int = 120) -> None:
        """Requests for a few questions over and over."""
        for _ in range(requests):
            self.request(f"question {self.asked % QUESTIONS}")

    def run_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.run(20)

    def run_until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + RECOVERY_S
        while not done():
            assert time.monotonic() < deadline, f"not within {RECOVERY_S} s; {self.notes}"
            self.run(20)

    @property
    def notes(self) -> tuple[str, ...]:
        return self.cache.snapshot().notes

    @property
    def errors(self) -> int:
        return sum(counts.errors for counts in self.cache.snapshot().layers.values())

    def check(self) -> None:
        """Nothing lost, nobody kept waiting, and everything counted."""
        layers = self.cache.snapshot().layers
        assert all(counts.hits + counts.misses == self.asked for counts in layers.values())
        assert float(np.quantile(self.seconds, 0.95)) <= BOUND_S


def keys_of(server: Server) -> int:
    """How many values lie on the server."""
    with redis_py.Redis.from_url(server.url) as client:
        return sum(not key.startswith(b"claim:") for key in client.scan_iter())


@pytest.fixture(params=["valkey", "redis"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    found = Server(tmp_path, request.param)
    yield found
    found.close()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    found = Proxy(server.port)
    yield found
    found.close()


def test_killed_and_restarted(server: Server) -> None:
    with connect(server.url) as cache:
        lab = Lab(cache)
        lab.run()
        assert keys_of(server) == 3 * QUESTIONS and lab.notes == ()
        server.kill()
        lab.run(400)
        assert lab.errors > 0 and "cannot be used" in lab.notes[0] and "in memory" in lab.notes[0]
        server.start()
        lab.run_until(lambda: any("answers again" in note for note in lab.notes))
        cache.flush()  # so that everything must be written again, and to the server
        lab.run_until(lambda: keys_of(server) == 3 * QUESTIONS)
        lab.check()
        assert len(lab.notes) == len(set(lab.notes)) == 2  # gone, and back again: once each


def test_what_was_remembered_in_memory_meanwhile_is_served_from_there(server: Server) -> None:
    server.kill()
    with connect(server.url) as cache:
        lab = Lab(cache)
        lab.run(10 * QUESTIONS)
        assert {counts.misses for counts in cache.snapshot().layers.values()} == {QUESTIONS}
        lab.check()


def test_paused_for_seconds(server: Server) -> None:
    with connect(server.url) as cache:
        lab = Lab(cache)
        lab.run()
        server.send(signal.SIGSTOP)
        lab.run_for(3.0)
        assert lab.errors >= GUARD.failures
        server.send(signal.SIGCONT)
        lab.run_until(lambda: any("answers again" in note for note in lab.notes))
        lab.check()


POLICIES = (
    "noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-lfu",
    "volatile-random", "volatile-ttl",
)  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
def test_out_of_memory(server: Server, policy: str) -> None:
    with redis_py.Redis.from_url(server.url) as client:
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", client.info("memory")["used_memory"] + (1 << 18))
        with connect(server.url) as cache:
            lab = Lab(cache)
            lab.cache.snapshot()  # the server's evictions count from here
            for number in range(150):
                lab.request(f"question {number}")
                lab.request(f"question {number}")
            lab.check()
            counts = cache.snapshot()
            if policy == "noeviction":
                assert lab.errors > 0 and counts.server_evictions == 0 and "OutOfMemory" in lab.notes[0]
                assert all(one.hits == 150 for one in counts.layers.values())  # what was refused is in memory
            else:
                assert counts.server_evictions > 0


def test_a_wrong_password(tmp_path: Path) -> None:
    server = Server(tmp_path, "redis", config={"requirepass": "right"})
    with connect(server.url.replace("//", "//:wrong@")) as cache:
        lab = Lab(cache)
        lab.run()
        lab.check()
        assert lab.errors > 0 and "wrong" not in lab.notes[0] and "Authentication" in lab.notes[0]
        with redis_py.Redis.from_url(server.url, password="right") as client:
            assert client.dbsize() == 0
    server.close()


def test_a_replica_that_only_reads(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "replica"
    folder.mkdir()
    kind = "redis" if "redis" in server.program else "valkey"
    replica = Server(folder, kind, config={"replicaof": f"127.0.0.1 {server.port}", "repl-diskless-sync-delay": "0"})
    with connect(server.url) as cache:
        Lab(cache).run(QUESTIONS // 2)
    deadline = time.monotonic() + RECOVERY_S
    while keys_of(replica) < 3 * QUESTIONS // 2:
        assert time.monotonic() < deadline, "the replica does not follow"
        time.sleep(0.02)
    with connect(replica.url) as cache:
        lab = Lab(cache)
        lab.run(4 * QUESTIONS)
        lab.check()
        layers = cache.snapshot().layers
        assert {counts.misses for counts in layers.values()} == {QUESTIONS // 2}  # the replica serves what it has
        assert lab.errors > 0 and "ReadOnly" in lab.notes[0] and keys_of(replica) == 3 * QUESTIONS // 2
    replica.close()


@pytest.mark.parametrize(("delay_s", "bad"), [(0.01, False), (1.0, True)], ids=["in time", "too late"])
def test_latency(proxy: Proxy, delay_s: float, bad: bool) -> None:
    with connect(proxy.url) as cache:
        lab = Lab(cache)
        lab.run(QUESTIONS // 4)
        proxy.delay_s = delay_s
        lab.run(60 if not bad else 400)
        lab.check()
        assert (lab.errors > 0) is bad
        proxy.delay_s = 0.0
        if bad:
            lab.run_until(lambda: any("answers again" in note for note in lab.notes))


def test_replies_that_trickle(proxy: Proxy) -> None:
    """Every read comes in time, but there is no end of them: that counts as a failure too."""
    with connect(proxy.url) as cache:
        lab = Lab(cache)
        lab.run(QUESTIONS)
        proxy.delay_s, proxy.piece = 0.02, 16
        lab.run(400)
        lab.check()
        assert lab.errors >= GUARD.failures and "slowly" in lab.notes[0]


@pytest.mark.parametrize("after", [0, 1, 40], ids="after {} bytes".format)
def test_a_connection_reset_in_the_middle_of_a_reply(proxy: Proxy, after: int) -> None:
    with connect(proxy.url) as cache:
        lab = Lab(cache)
        lab.run(QUESTIONS)
        proxy.reset_after = after
        lab.run(200)
        assert lab.errors > 0
        proxy.reset_after = -1
        lab.run_until(lambda: any("answers again" in note for note in lab.notes))
        lab.check()


def test_what_was_flushed_while_nobody_answered_does_not_come_back(proxy: Proxy) -> None:
    with connect(proxy.url) as cache:
        where = cache.scope("explanations", index="i", encoder="e", config={})
        cache.explanations.ask(where, ["a"], lambda _: [Answer("old", ())])
        proxy.reset_after = 0
        cache.flush("explanations")
        proxy.reset_after = -1
        assert cache.explanations.ask(where, ["a"], lambda _: [Answer("new", ())]) == [Answer("new", ())]


HOT = """
import os, sys, threading, time
from pathlib import Path
from rag_lab.cache import redis
from rag_lab.types import Answer
from servers import GUARD, LAYERING

url, folder = sys.argv[1], Path(sys.argv[2])
cache = redis.build(namespace="n", layers=LAYERING, url=url, url_variable="RAG_LAB_UNSET",
                    guard=GUARD._replace(connect_timeout_ms=9000, read_timeout_ms=9000)).open()
where = cache.scope("explanations", index="i", encoder="e", config={})

def compute(missing):
    with open(folder / "computed", "a") as file:
        file.write("computed\\n")
    time.sleep(0.3)
    return [Answer("hot", ("p",))]

found = []

def ask():
    while not (folder / "go").exists():
        time.sleep(0.005)
    found.extend(cache.explanations.ask(where, ["hot"], compute))

threads = [threading.Thread(target=ask) for _ in range(32)]
for thread in threads: thread.start()
(folder / f"ready {os.getpid()}").touch()
for thread in threads: thread.join()
assert found == [Answer("hot", ("p",))] * 32
assert cache.snapshot().notes == (), cache.snapshot().notes
cache.close()
"""


def test_one_hot_key_of_32_threads_in_each_of_4_processes_is_computed_once(server: Server, tmp_path: Path) -> None:
    """With so many threads on so few cores a time-out would be our own fault, so it is long here."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    command = [sys.executable, "-c", HOT, server.url, str(tmp_path)]
    processes = [subprocess.Popen(command, env=environment) for _ in range(4)]
    while len(list(tmp_path.glob("ready *"))) < 4:
        assert all(process.poll() is None for process in processes)
        time.sleep(0.01)
    (tmp_path / "go").touch()
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    assert (tmp_path / "computed").read_text() == "computed\n"


def test_a_process_that_dies_while_it_computes_keeps_nobody_waiting_for_ever(server: Server) -> None:
    with connect(server.url) as cache, connect(server.url) as other:
        hold = LAYERING._replace(hold_s=0.5)
        cache.explanations.rules = other.explanations.rules = hold.rules("explanations")
        where = cache.scope("explanations", index="i", encoder="e", config={})
        other.store.claim([where.key("a")], b"whoever died", 0.5)
        started = time.monotonic()
        assert cache.explanations.ask(where, ["a"], lambda _: [Answer("mine", ())]) == [Answer("mine", ())]
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("moved_s", "over"),
    [
        (-86400.0, LAYERS),  # written in what is the future now: how old that is, nobody knows
        (-600.0, LAYERS),
        (300.0, ()),
        (1200.0, ("explanations",)),
        (86400.0, LAYERS),
    ],
)
def test_this_machine_s_clock_moved(server: Server, moved_s: float, over: tuple[str, ...]) -> None:
    """What is over by the new time is computed once more, and no more often."""
    now = [0.0]
    with connect(server.url, lambda: time.time() + now[0]) as cache:
        lab = Lab(cache)
        lab.run(QUESTIONS)
        now[0] = moved_s
        lab.run(3 * QUESTIONS)
        lab.check()
        misses = {layer: counts.misses for layer, counts in cache.snapshot().layers.items()}
        assert misses == {layer: QUESTIONS * (1 + (layer in over)) for layer in LAYERS}


@pytest.mark.parametrize("moved", ["-1d", "+1d"])
def test_the_server_s_clock_moved(tmp_path: Path, moved: str) -> None:
    if FAKETIME is None:
        pytest.skip("libfaketime is not installed; apt-get install faketime")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    preload = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
               "DONT_FAKE_MONOTONIC": "1"}  # fmt: skip
    server = Server(tmp_path, "valkey", env={**os.environ, **preload})
    with connect(server.url) as cache:
        lab = Lab(cache)
        lab.run(QUESTIONS)
        clock.write_text(f"{moved}\n")
        lab.run(3 * QUESTIONS)
        lab.check()
        misses = {counts.misses for counts in cache.snapshot().layers.values()}
        assert misses == ({QUESTIONS} if moved.startswith("-") else {2 * QUESTIONS})
    server.close()


def test_threads_through_a_failing_server_lose_nothing(proxy: Proxy) -> None:
    with connect(proxy.url) as cache:
        labs = [Lab(cache) for _ in range(8)]
        failures: list[BaseException] = []

        def work(lab: Lab) -> None:
            try:
                lab.run(150)
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=work, args=(lab,)) for lab in labs]
        for thread in threads:
            thread.start()
        for _ in range(5):
            proxy.reset_after = 3
            time.sleep(0.1)
            proxy.reset_after = -1
            time.sleep(0.1)
        for thread in threads:
            thread.join()
        assert failures == []
        layers = cache.snapshot().layers
        assert all(counts.hits + counts.misses == sum(lab.asked for lab in labs) for counts in layers.values())


def test_keys_name_their_layer(server: Server) -> None:
    with connect(server.url) as cache:
        Lab(cache).run(1)
        with redis_py.Redis.from_url(server.url) as client:
            assert {layer_of(key) for key in client.scan_iter("n:*")} == set(LAYERS)
