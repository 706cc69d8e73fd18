"""Domain detection in batches: the nearest centroid of the train queries' vectors, in one compiled program."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rag_lab.l2_domain.embedded import CENTROID, Embedded


def build(
    *, precision: Annotated[float, Field(ge=0, le=1)], max_batch: Annotated[int, Field(ge=1, le=4096)]
) -> Embedded:
    """The detector.

    precision: the share of its answers that must be right, or it is silent (from train); 0 never is.
    max_batch: texts that one call of the program takes at most.
    """
    return Embedded(CENTROID, precision, max_batch)
