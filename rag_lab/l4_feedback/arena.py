"""Named arrays in one block of shared memory, for the processes of `filters.pool`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import NamedTuple

import numpy as np

ALIGNMENT = 64  # bytes: a cache line


class Layout(NamedTuple):
    """Where a block is and what lies in it. fields: the type and shape of each array, in order."""

    name: str
    fields: Mapping[str, tuple[str, tuple[int, ...]]]


class Arena:
    """A block, mapped into this process. Whoever made it unlinks it; everyone closes it."""

    def __init__(self, layout: Layout, *, make: bool = False) -> None:
        """Map the block of a layout; `make`: a new one, under a name of its own."""
        size = sum(_padded(kind, shape) for kind, shape in layout.fields.values())
        self._block = SharedMemory(None if make else layout.name, create=make, size=max(size, 1) if make else 0)
        self._made = make
        self.layout = layout._replace(name=self._block.name)
        self.arrays: dict[str, np.ndarray] = {}
        start = 0
        for name, (kind, shape) in layout.fields.items():
            self.arrays[name] = np.ndarray(shape, kind, self._block.buf, start)
            start += _padded(kind, shape)

    def close(self) -> None:
        """Unmap the block, and unlink it if it was made here. Its arrays must not be used any more."""
        self.arrays.clear()
        with suppress(BufferError):  # someone still holds an array: the mapping goes when that does
            self._block.close()
        if self._made:
            self._made = False
            self._block.unlink()


def _padded(kind: str, shape: tuple[int, ...]) -> int:
    """Bytes that an array takes."""
    size = np.dtype(kind).itemsize * int(np.prod(shape))
    return -(-size // ALIGNMENT) * ALIGNMENT
