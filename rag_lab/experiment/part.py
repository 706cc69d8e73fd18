"""What one part of an experiment found, to be put together with the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rag_lab.experiment.week1_verdicts import Measure


class Part(NamedTuple):
    """metrics: by the contract's names; curves: for curves.json; measures: by target, or why there is none."""

    metrics: Mapping[str, float]
    curves: Mapping[str, Any]
    measures: Mapping[str, Measure | str]
    notes: Sequence[str]

    @staticmethod
    def together(parts: Sequence[Part]) -> Part:
        """All of them as one."""
        return Part(
            {name: value for part in parts for name, value in part.metrics.items()},
            {name: value for part in parts for name, value in part.curves.items()},
            {name: value for part in parts for name, value in part.measures.items()},
            [note for part in parts for note in part.notes],
        )
