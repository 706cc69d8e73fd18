"""One α for every query."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from rag_lab.l4_feedback.policy import Policy, Sets, lookup


def build(*, alpha: Annotated[float, Field(ge=0, le=1)], actions: Sets) -> Policy:
    """The policy. alpha: BM25's weight; β = 1 − α is the vectors'. ConfigError where it is not an action."""
    return lookup(
        lambda setting: np.full(setting.places, setting.action(alpha)),
        per_domain=False,
        fitted=False,
        actions=actions,
    )
