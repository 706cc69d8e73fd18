"""alert=none: no run is held against another."""

from __future__ import annotations

from rag_lab.alerts.rule import Found
from rag_lab.telemetry.document import Document


class Silent:
    """Judges nothing."""

    def judge(self, run: Document | None, variant: str | None) -> list[Found]:
        """Nothing."""
        return []


def build() -> Silent:
    """No alerts; there is nothing to set."""
    return Silent()
