"""telemetry=none: a run does not measure itself, and records cost a call of an empty function."""

from __future__ import annotations

from collections.abc import Mapping

from rag_lab.telemetry.document import Facts, Status
from rag_lab.telemetry.session import Measured, Told, Window


class Unmeasured:
    """A measurement of nothing."""

    def __init__(self) -> None:
        self.windows: list[Window] = []

    def finish(self, status: Status, metrics: Mapping[str, float]) -> None:
        """Nothing."""

    def discard(self) -> None:
        """Nothing."""


class Nothing:
    """Measures nothing."""

    def check(self) -> None:
        """Nothing can be wrong."""

    def start(self, facts: Facts, tell: Told) -> Measured:
        """Nothing."""
        return Unmeasured()


def build() -> Nothing:
    """No measurement; it has nothing to set."""
    return Nothing()
