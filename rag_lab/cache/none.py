"""Nothing is remembered between queries."""

from __future__ import annotations


def build() -> None:
    """No cache."""
