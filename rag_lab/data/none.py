"""No data: for experiments that measure programs, not retrieval."""

from __future__ import annotations

from collections.abc import Callable

from rag_lab.data.fingerprint import fingerprint
from rag_lab.types import Dataset, ProgressFactory

CARD = "# No data\n\nThis run measures programs. It reads no passages, no queries and no judgments.\n"


def build() -> Callable[[int, ProgressFactory], Dataset]:
    """The loader, called as `load(seed, progress)`: a data set without a domain."""
    return lambda seed, progress: Dataset("none", (), fingerprint(()), CARD, 0)
