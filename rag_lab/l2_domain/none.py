"""No domain detection: it abstains on every query, so per-domain policies act on their pooled prior."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int


class Abstain:
    """The detector stage."""

    def detect(
        self,
        train: Float[np.ndarray, "train dimensions"],
        domains: Int[np.ndarray, " train"],
        queries: Float[np.ndarray, "queries dimensions"],
    ) -> Int[np.ndarray, " queries"]:
        """-1, which says 'unknown', for every query."""
        return np.full(len(queries), -1, np.int32)


def build() -> Abstain:
    """The detector; it has nothing to set."""
    return Abstain()
