"""Feedback is believed as it comes."""

from __future__ import annotations


def build() -> None:
    """No filter."""
