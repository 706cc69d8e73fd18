"""Domain detection one query at a time: the baseline that batching is held against.

The same encoder and the same centroids as `batched`; only the batch is one.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rag_lab.l2_domain.embedded import CENTROID, Embedded


def build(*, precision: Annotated[float, Field(ge=0, le=1)]) -> Embedded:
    """The detector. precision: the share of its answers that must be right, or it is silent (from train)."""
    return Embedded(CENTROID, precision, batch=1)
