"""A storage that cannot be used is said in one line, soon, and without its password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from rag_lab.errors import ConfigError
from rag_lab.sweep import storage


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else gets."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://me:secret@127.0.0.1:{port}/studies", "[Cc]onnection refused"),
        ("postgres://me:secret@127.0.0.1:{port}/studies", "[Cc]onnection refused"),
        ("redis://me:secret@127.0.0.1:{port}/0", "Connection refused"),
        ("mysql+nodriver://me:secret@127.0.0.1/studies", "nodriver"),
        ("mysql://me:secret@127.0.0.1/studies", "MySQLdb"),
        ("nowhere://me:secret@host/studies", "nowhere"),
        ("sqlite:///{folder}/broken.db", "not a database"),
        ("sqlite:///", "names no file; give sqlite:///<file>"),
        ("journal:///", "names no file; give journal:///<file>"),
    ],
)
def test_a_storage_that_cannot_be_used_is_said_in_one_line(
    url: str, reason: str, port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.db").write_text("this is no database, but long enough to be looked at" * 99)
    monkeypatch.chdir(tmp_path)
    given = url.format(port=port, folder=tmp_path)
    with pytest.raises(ConfigError, match=reason) as raised, storage.opened(given):
        pass
    assert "\n" not in str(raised.value) and "secret" not in str(raised.value)
    assert str(raised.value).startswith("hydra.sweeper.storage=")
    assert [entry.name for entry in tmp_path.iterdir()] == ["broken.db"]


def test_a_path_is_relative_after_three_strokes_and_absolute_after_four(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind in ("sqlite", "journal"):
        for url in (f"{kind}:///runs/{kind}.relative", f"{kind}:///{tmp_path}/runs/{kind}.absolute"):
            with storage.opened(url) as kept:
                assert kept.get_all_studies() == []
    assert {path.name.partition("-")[0] for path in (tmp_path / "runs").iterdir()} == {
        "sqlite.relative", "sqlite.absolute", "journal.relative", "journal.absolute",
    }  # fmt: skip


def test_a_password_is_masked_and_nothing_else() -> None:
    assert storage.masked("postgresql://me:se:cr@et@host:5432/x") == "postgresql://me:***@host:5432/x"
    assert storage.masked("sqlite:///runs/sweeps.db") == "sqlite:///runs/sweeps.db"
