"""Ceilings: the best action in hindsight, of each domain or of each query. Bounds, not policies."""

from __future__ import annotations

from rag_lab.l4_feedback.policy import Ceiling, Sets


def build(*, per_query: bool, actions: Sets) -> Ceiling:
    """The ceiling. per_query: hindsight for every single query, not for every domain."""
    return Ceiling(per_query, actions)
