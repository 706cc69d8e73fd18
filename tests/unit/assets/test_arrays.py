from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from rag_lab.assets import arrays


class Two(NamedTuple):
    one: np.ndarray
    other: np.ndarray


TWO = Two(np.arange(6, dtype=np.int16).reshape(2, 3), np.array([np.nan, 1.5], np.float32))


def test_keeping_and_loading(tmp_path: Path) -> None:
    assert arrays.load(tmp_path / "new", "name", Two) is None
    arrays.keep(tmp_path / "new", "name", TWO)
    again = arrays.load(tmp_path / "new", "name", Two)
    assert isinstance(again, Two)
    for kept, given in zip(again, TWO, strict=True):
        assert kept.dtype == given.dtype
        np.testing.assert_array_equal(kept, given)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["name.npz"]


def test_an_interrupted_keeping_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, **arrays: np.ndarray) -> None:
        path.write_bytes(b"half a file")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", broken)
        with pytest.raises(KeyboardInterrupt):
            arrays.keep(tmp_path, "name", TWO)
    assert list(tmp_path.iterdir()) == []
    assert arrays.load(tmp_path, "name", Two) is None


def test_a_name_depends_on_every_part_and_their_order() -> None:
    assert len({arrays.identity(*parts) for parts in (("a", "b"), ("b", "a"), ("a",), ("a", "b", ""))}) == 4
