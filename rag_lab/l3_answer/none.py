"""No answers: the run measures retrieval alone."""

from __future__ import annotations


def build() -> None:
    """No generator."""
