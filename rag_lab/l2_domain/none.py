"""No domain detection: it is silent on every query, so per-domain policies act on their pooled prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.encoder.live import Live
from rag_lab.l2_domain.signature import UNKNOWN, Labelled, Signature


class Silent(NamedTuple):
    """The detector stage, and once fitted the detector itself. classes: how many domains there are."""

    classes: int

    def fit(self, train: Labelled, live: Live | None) -> Silent:
        """Count the domains."""
        return Silent(len(train.passages))

    def __call__(self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"] | None = None) -> Signature:
        """Every domain is as likely as the others, and none is chosen."""
        even = np.full((len(texts), self.classes), 1 / self.classes)
        return Signature(even, np.full(len(texts), UNKNOWN), even[:, 0])


def build() -> Silent:
    """The detector; it has nothing to set."""
    return Silent(0)
