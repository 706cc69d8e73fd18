"""Pinned wheels: fetched by the real pip, from folders and servers of this machine."""

from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.assets.wheels import Pin
from rag_lab.errors import AssetError
from rag_lab.types import Progress


class Bars:
    """A ProgressFactory that remembers what it was told."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, int, str]] = []
        self.done = 0

    def __call__(self, what: str, total: int, unit: str) -> Progress:
        self.opened.append((what, total, unit))
        return self

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def advance(self, amount: int = 1) -> None:
        self.done += amount


def make_wheel(folder: Path, name: str, content: bytes) -> Pin:
    """A wheel that pip accepts, with one data file, and the pin of it."""
    stem = f"{name.replace('-', '_')}-1.0"
    path = folder / f"{stem}-py3-none-any.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}/data.bin", content)
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")
    return Pin(name, "1.0", hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip looks for wheels in, and nowhere else; the cache folder is `tmp_path/cache`."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "house"
    folder.mkdir()
    for name, value in {
        "RAG_LAB_CACHE": str(tmp_path / "cache"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_RETRIES": "0",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(name, value)
    return folder


def visible() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "wheels").glob("[!.]*"))


def hidden() -> list[Path]:
    return list((cache_folder() / "wheels").glob(".*"))


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def fails(pin: Pin) -> str:
    """The message of the AssetError that fetching raises: one line that names the pin."""
    with pytest.raises(AssetError) as caught:
        wheels.fetch(pin, Bars())
    message = str(caught.value)
    assert "\n" not in message and str(pin) in message
    return message


def test_pins_are_whole_and_distinct() -> None:
    assert len({pin.name for pin in wheels.PINS}) == len({pin.sha256 for pin in wheels.PINS}) == 7
    assert all(re.fullmatch(r"[0-9a-f]{64}", pin.sha256) for pin in wheels.PINS)


def test_the_cache_folder_follows_the_environment_at_call_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAG_LAB_CACHE", str(tmp_path / "one"))
    assert cache_folder() == tmp_path / "one"
    monkeypatch.setenv("RAG_LAB_CACHE", "relative")
    assert cache_folder() == Path.cwd() / "relative"
    monkeypatch.delenv("RAG_LAB_CACHE")
    assert cache_folder().name == "rag-lab" and cache_folder().is_absolute()


def test_a_wheel_is_fetched_once_and_read(house: Path) -> None:
    pin = make_wheel(house, "demo-one", os.urandom(2_500_000))
    bars = Bars()
    path = wheels.fetch(pin, bars)
    assert path.read_bytes() == (house / "demo_one-1.0-py3-none-any.whl").read_bytes()
    assert bars.opened == [("download", 2, "MB")] and bars.done == 2
    assert visible() == [path.name] and hidden() == []

    (house / "demo_one-1.0-py3-none-any.whl").unlink()
    again = Bars()
    assert wheels.fetch(pin, again) == path and again.opened == []
    assert len(wheels.read_member(pin, "demo-one/data.bin", again)) == 2_500_000


def test_several_missing_wheels_share_one_bar(house: Path) -> None:
    pins = [make_wheel(house, name, os.urandom(1_400_000)) for name in ("demo-one", "demo-two", "demo-three")]
    wheels.fetch(pins[1], Bars())
    bars = Bars()
    paths = wheels.fetch_all(pins, bars)
    assert bars.opened == [("download", 2, "MB")] and bars.done == 2
    assert [path.name.split("-1.0")[0] for path in paths] == ["demo-one", "demo-two", "demo-three"]


def test_another_file_in_its_name_is_refused(house: Path) -> None:
    pin = make_wheel(house, "demo-one", b"as pinned")
    make_wheel(house, "demo-one", b"as offered")
    assert "another file in its name" in fails(pin)
    assert visible() == [] and hidden() == []


def test_a_wheel_that_the_index_lacks(house: Path) -> None:
    message = fails(Pin("demo-none", "1.0", "0" * 64, 1))
    assert "does not offer it" in message and str(cache_folder() / "wheels" / "demo-none-1.0") in message


def test_an_unreachable_index_is_told_in_one_line_and_pip_is_not_heard(
    house: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = fails(Pin("demo-one", "1.0", "0" * 64, 1))
    assert "cannot be reached" in message and "pip config list" in message
    assert capfd.readouterr() == ("", "")


def test_a_wheel_put_there_by_hand_is_taken(house: Path) -> None:
    pin = make_wheel(house.parent / "elsewhere", "demo-one", b"carried over")
    named = re.search(r"copy the wheel from another machine to (\S+)", fails(pin))
    assert named
    Path(named[1]).write_bytes((house.parent / "elsewhere" / "demo_one-1.0-py3-none-any.whl").read_bytes())
    assert wheels.read_member(pin, "demo-one/data.bin", Bars()) == b"carried over"


def test_a_python_without_pip_says_so(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = house / "bin" / "python"
    bare.parent.mkdir()
    bare.write_text("#!/bin/sh\necho 'python: No module named pip' >&2\nexit 1\n")
    bare.chmod(0o755)
    monkeypatch.setattr(wheels, "PIP", (str(bare), *wheels.PIP[1:]))
    assert "this Python has no pip" in fails(Pin("demo-one", "1.0", "0" * 64, 1))


def test_a_damaged_wheel_is_replaced(house: Path) -> None:
    pin = make_wheel(house, "demo-one", b"x" * 10_000)
    path = wheels.fetch(pin, Bars())
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert wheels.read_member(pin, "demo-one/data.bin", Bars()) == b"x" * 10_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == pin.sha256


def test_a_damaged_wheel_is_never_read(house: Path) -> None:
    pin = make_wheel(house, "demo-one", b"x" * 10_000)
    path = wheels.fetch(pin, Bars())
    (house / "demo_one-1.0-py3-none-any.whl").unlink()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(AssetError, match="does not offer it"):
        wheels.read_member(pin, "demo-one/data.bin", Bars())


def test_a_folder_that_cannot_be_written(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = make_wheel(house, "demo-one", b"x")
    (house / "file").write_text("in the way")
    monkeypatch.setenv("RAG_LAB_CACHE", str(house / "file"))
    with pytest.raises(AssetError, match="point RAG_LAB_CACHE at a folder that you may write"):
        wheels.fetch(pin, Bars())


def test_what_killed_downloads_left_is_swept_in_time(house: Path) -> None:
    pin = make_wheel(house, "demo-one", b"x")
    old, new = (cache_folder() / "wheels" / name for name in (".download-old", ".download-new"))
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "half.whl").write_bytes(b"half")
    os.utime(old, (0, 0))
    wheels.fetch(pin, Bars())
    assert hidden() == [new]


FETCH = """
import sys
from rag_lab.assets.wheels import Pin, fetch_all
class Silent:
    def __init__(self, *a): pass
    def __enter__(self): return self
    def __exit__(self, *a): pass
    def advance(self, amount=1): pass
pins = [Pin(*one.split(",")[:3], int(one.split(",")[3])) for one in sys.argv[1:]]
fetch_all(pins, Silent)
"""


def start(*pins: Pin) -> subprocess.Popen[bytes]:
    """A process of its own that fetches the pins."""
    given = [",".join(map(str, pin)) for pin in pins]
    return subprocess.Popen([sys.executable, "-c", FETCH, *given], stderr=subprocess.PIPE)


@pytest.fixture
def slow_index(house: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Event]]:
    """A package index over the house. Wheels named by its function stall half-way; the event tells when."""
    stalled: dict[str, threading.Event] = {}
    closing = threading.Event()

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").split("/")[-1]
            file = house / name
            if file.suffix == ".whl":
                body, kind = file.read_bytes(), "application/octet-stream"
            else:
                links = [path.name for path in house.glob(f"{name.replace('-', '_')}-*.whl")]
                body, kind = "".join(f'<a href="/{one}">{one}</a>' for one in links).encode(), "text/html"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if name in stalled:
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                stalled[name].set()
                closing.wait(60)
            else:
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")

    def stall(name: str) -> threading.Event:
        return stalled.setdefault(f"{name.replace('-', '_')}-1.0-py3-none-any.whl", threading.Event())

    yield stall
    closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_download_loses_no_finished_wheel_and_shows_no_half_one(
    house: Path,
    slow_index: Callable[[str], threading.Event],
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
) -> None:
    first = make_wheel(house, "demo-one", os.urandom(50_000))
    second = make_wheel(house, "demo-two", os.urandom(2_000_000))
    half_way = slow_index("demo-two")
    process = start(first, second)
    assert half_way.wait(60)
    time.sleep(0.3)  # let some of it reach the disk
    process.send_signal(how)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert visible() == [wheels.place(first).name]
    assert (hidden() == []) == (how == signal.SIGINT)
    kept = wheels.place(first).stat()

    monkeypatch.delenv("PIP_INDEX_URL")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(house))
    bars = Bars()
    wheels.fetch_all([first, second], bars)
    assert bars.opened == [("download", 2, "MB")]
    assert wheels.place(first).stat().st_mtime_ns == kept.st_mtime_ns
    assert wheels.fetch_all([first, second], bars) and len(bars.opened) == 1


def test_two_processes_may_fetch_at_the_same_time(house: Path) -> None:
    pin = make_wheel(house, "demo-one", os.urandom(3_000_000))
    processes = [start(pin), start(pin)]
    for process in processes:
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert visible() == [wheels.place(pin).name] and hidden() == []
    assert hashlib.sha256(wheels.place(pin).read_bytes()).hexdigest() == pin.sha256


@pytest.mark.network
def test_a_real_pin_from_the_real_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LAB_CACHE", str(tmp_path))
    path = wheels.fetch(wheels.FANOUTQA, Bars())
    assert path.stat().st_size == wheels.FANOUTQA.size
    assert zipfile.is_zipfile(io.BytesIO(path.read_bytes()))
