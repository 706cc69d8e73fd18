"""The ways to a server: plain, TLS, with a user's rights, by a cluster, by sentinels. All of them real servers."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from servers import LIMIT_S, Server, free_port

from rag_lab.cache.address import connect, redact
from rag_lab.cache.server import Server as Store
from rag_lab.cache.store import Item, Patience, Refused, Unavailable
from rag_lab.errors import ConfigError

PATIENCE = Patience(0.5, 0.5, 1.0, 8)
KEYS = [b"n:l:i:s:%d" % number for number in range(20)]
ITEMS = [Item(key, b"value of " + key, 60) for key in KEYS]


def works(url: str) -> Store:
    """Everything a store does, over this way."""
    store = Store(connect(url, PATIENCE))
    store.put_many(ITEMS)
    assert store.get_many(KEYS) == [item.value for item in ITEMS]
    assert store.get_many([KEYS[0]]) == [ITEMS[0].value] and store.get_many([b"n:l:i:s:x"]) == [None]
    first, second = store.claim([KEYS[0]], b"me", 5), store.claim([KEYS[0]], b"you", 5)
    assert [one.mine for one in (*first, *second)] == [True, False] and second[0].value == ITEMS[0].value
    store.release([KEYS[0]], b"you")
    assert not store.claim([KEYS[0]], b"you", 5)[0].mine
    store.release([KEYS[0]], b"me")
    assert store.claim([KEYS[0]], b"you", 5)[0].mine
    store.release([KEYS[0]], b"you")
    store.delete_many(KEYS[:5])
    assert store.flush(b"n:l:*") == 15
    assert store.health().evictions == {"server": 0}
    return store


@pytest.mark.parametrize("kind", ["valkey", "redis"])
@pytest.mark.parametrize("unix", [False, True])
def test_a_plain_way(tmp_path: Path, kind: str, unix: bool) -> None:
    server = Server(tmp_path, kind, unix=unix)
    works(f"{server.url}?db=1" if unix else f"{server.url}/1").close()
    server.close()


def test_tls(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate for the test")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    port = free_port()
    files = {"tls-cert-file": "cert.pem", "tls-key-file": "key.pem", "tls-ca-cert-file": "cert.pem"}
    config = {name: str(tmp_path / file) for name, file in files.items()}
    server = Server(tmp_path, "redis", config={**config, "tls-port": str(port), "tls-auth-clients": "no"})
    works(f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={tmp_path / 'cert.pem'}").close()
    with pytest.raises(Unavailable, match="certificate"):
        connect(f"rediss://127.0.0.1:{port}/0", PATIENCE).ask([(b"PING",)])
    server.close()


def test_a_user_who_may_use_this_namespace_and_no_other(valkey: Server) -> None:
    admin = redis.Redis.from_url(valkey.url)
    admin.acl_setuser(
        "lab", enabled=True, passwords=["+p@ss/word"], keys=["n:*", "claim:n:*"],
        categories=["+@read", "+@write", "+@scripting", "+@connection"], commands=["+info"],
    )  # fmt: skip
    where = valkey.url.removeprefix("redis://")
    store = works(f"redis://lab:p%40ss%2Fword@{where}")
    with pytest.raises(Refused, match="NoPermission"):
        store.get_many([b"other:l:i:s:0"])
    store.close()
    with pytest.raises(Unavailable, match="Authentication"):
        connect(f"redis://lab:wrong@{where}", PATIENCE).ask([(b"PING",)])
    admin.close()


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    """Three servers of one cluster, each with a third of the slots."""
    found = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        bus = {"cluster-enabled": "yes", "cluster-port": str(free_port()), "cluster-node-timeout": "2000"}
        found.append(Server(folder, "valkey", config=bus))
    clients = [redis.Redis.from_url(node.url) for node in found]
    for number, client in enumerate(clients):
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", number * 5462, min(16383, number * 5462 + 5461))
        client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for node in found[1:]:
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", node.port, node.config["cluster-port"])
    deadline = time.monotonic() + LIMIT_S
    while not all(b"cluster_state:ok" in bytes(one.execute_command("CLUSTER", "INFO")) and len(
        one.execute_command("CLUSTER", "SHARDS")) == 3 for one in clients):  # fmt: skip
        assert time.monotonic() < deadline, "the cluster does not come together"
        time.sleep(0.05)
    for client in clients:
        client.close()
    yield found
    for node in found:
        node.close()


def test_a_cluster(nodes: list[Server]) -> None:
    store = works(f"redis+cluster://127.0.0.1:{nodes[0].port}")
    store.put_many(ITEMS)
    for node in nodes:
        node.kill()
    with pytest.raises(Unavailable):
        store.get_many(KEYS)
    with pytest.raises(Unavailable):
        store.flush(b"n:l:*")
    store.close()


def test_a_leader_that_sentinels_name(tmp_path: Path) -> None:
    server = Server(tmp_path, "redis")
    folder = tmp_path / "sentinel"
    folder.mkdir()
    settings = folder / "sentinel.conf"
    port = free_port()
    settings.write_text(f"port {port}\ndir {folder}\nsentinel monitor lab 127.0.0.1 {server.port} 1\n")
    process = subprocess.Popen(
        [server.program, str(settings), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            works(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{port}/lab/2").close()
            break
        except Unavailable:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    process.kill()
    process.wait()
    server.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:6379", "allowed are redis://"),
        ("memcached://localhost", "allowed are redis://"),
        ("redis://u:secret@localhost:port", "cannot be read"),
        ("redis+sentinel://localhost", "service's name"),
        ("redis+cluster://localhost:port", "cannot be read"),
    ],
)
def test_an_address_that_cannot_be_read_is_one_clear_line_without_its_password(url: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"cache\.url: given") as refused:
        connect(url, PATIENCE)
    assert why in str(refused.value) and "\n" not in str(refused.value) and "secret" not in str(refused.value)


def test_an_address_is_shown_without_what_is_secret() -> None:
    assert redact("rediss://user:pass@host:1/2?password=x") == "rediss://host:1/2"
    assert redact("redis+sentinel://u:p@a:1,b:2/lab") == "redis+sentinel://a:1,b:2/lab"


def test_nobody_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="Connection"):
        connect(f"redis://127.0.0.1:{free_port()}", PATIENCE).ask([(b"PING",)])
    with pytest.raises(Unavailable):
        connect("unix:///nowhere/socket", PATIENCE).ask([(b"PING",)])


def test_a_refusal_among_replies_leaves_the_others_in_place(valkey: Server) -> None:
    wire = connect(valkey.url, PATIENCE)
    replies = wire.ask([(b"SET", b"n:l:a", b"1"), (b"LPUSH", b"n:l:a", b"2"), (b"GET", b"n:l:a")])
    assert isinstance(replies[1], redis.ResponseError) and replies[::2] == [b"OK", b"1"]
    assert wire.ask([(b"DEL", b"n:l:a")]) == [1]
    wire.close()
