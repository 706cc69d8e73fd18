"""Nothing is remembered between queries."""

from __future__ import annotations

import time

from rag_lab.cache.layering import Nothing
from rag_lab.cache.layers import Clock


class Absent:
    """The cache as configured: none."""

    def open(self, clock: Clock = time.time) -> Nothing:
        """A cache that computes everything."""
        return Nothing()


def build() -> Absent:
    """No cache."""
    return Absent()
