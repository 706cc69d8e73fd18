"""What an alert watches, and what was found.

Units: those of the metric; an effect is relative where runs are compared (0.1 is a tenth), absolute where queries are.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from pydantic import Field

Verdict = Literal["ringing", "quiet", "not judged"]


class Rule(NamedTuple):
    """by: "runs" holds a number of summary.json against the same number of earlier runs; "queries" a column of
    per_query.parquet, of the run's treatment, against the same queries of one earlier run. worse: the direction that
    rings. effect: the least change that rings. against: null, the runs before; or a run's id: only runs up to it (by
    runs), or it alone (by queries).
    """

    metric: Annotated[str, Field(min_length=1)]
    by: Literal["runs", "queries"]
    worse: Literal["higher", "lower"]
    effect: Annotated[float, Field(ge=0)]
    against: str | None


class Found(NamedTuple):
    """What a rule found. change: of the value from the baseline, relative or absolute as the rule's effect; n: earlier
    runs, or queries; detectable: the change that would have been found (see `runs` and `queries`); why: in words.
    """

    rule: str
    verdict: Verdict
    why: str
    value: float | None = None
    baseline: float | None = None
    change: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    n: int | None = None
    detectable: float | None = None


def worsened(rule: Rule, change: float) -> float:
    """The change in the direction that rings."""
    return change if rule.worse == "higher" else -change
