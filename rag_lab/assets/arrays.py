"""Arrays kept on disk by the hash of what they were made from: a named tuple in, the same out, whole or absent."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from rag_lab.assets import atomic

Kept = TypeVar("Kept", bound=tuple[Any, ...])  # a NamedTuple of arrays


def identity(*parts: str) -> str:
    """A name for what depends on these parts, in this order."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _named(one: Any) -> Any:
    """The same: a NamedTuple's own methods are not in the type of a tuple."""
    return one


def load(folder: Path, name: str, kind: type[Kept]) -> Kept | None:
    """What is kept under a name, or None."""
    path, named = folder / f"{name}.npz", _named(kind)
    if not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return named._make(arrays[field] for field in named._fields)


def keep(folder: Path, name: str, arrays: tuple[Any, ...]) -> None:
    """Keep arrays under a name."""
    with atomic.write(folder / f"{name}.npz") as temporary:
        np.savez(temporary, **_named(arrays)._asdict())
