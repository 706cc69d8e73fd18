"""A log of real feedback before the filter: what it keeps, what it drops and why, and who is reliable.

It trains nothing and needs no data set. See `rag_lab.l4_feedback.log` for the file and `audit` for the report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from rag_lab.experiment import summary
from rag_lab.experiment.filter_settings import configured
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.l4_feedback.audit import Audit, audit


class FeedbackLog(NamedTuple):
    """The experiment's settings; see conf/experiment/feedback_log.yaml."""

    name: str
    question: str
    path: Path
    domains: tuple[str, ...] | None
    now: float | None
    shown: int

    @property
    def needs_data(self) -> bool:
        """A log stands alone."""
        return False

    def check(self, lab: Lab) -> None:
        """ConfigError where the filter judges nothing, DataError where the log cannot be read."""
        self._audit(lab)

    def execute(self, lab: Lab) -> Findings:
        """Judge the log."""
        found = self._audit(lab)
        metrics = {
            "filter/items": float(found.items),
            "filter/kept_share": found.kept_share,
            "filter/weight": found.weight,
        }
        return summary.NOTHING._replace(
            metrics={name: value for name, value in metrics.items() if value is not None},
            curves={"feedback_log": found.document()},
            notes=_notes(found, self.shown),
        )

    def _audit(self, lab: Lab) -> Audit:
        return audit(self.path, configured(lab), self.domains, self.now)


def _notes(found: Audit, shown: int) -> list[str]:
    """What is to be read first."""
    lines = [f"{found.items:,} items by {len(found.users):,} users; kept {found.kept:,}."]
    lines += [f"{reason}: {count:,}" for reason, count in found.reasons.items() if count]
    lines += [f"domain {name}: {kept:,} of {items:,} kept" for name, (items, kept) in found.domains.items()]
    for user in found.users[:shown]:
        known = "unknown" if user.reliability is None else f"{user.reliability:.2f}"
        lines.append(f"user {user.name}: reliability {known}, {user.kept:,} of {user.items:,} kept")
    return lines


def build(
    *,
    name: str,
    question: str,
    path: Path,
    domains: tuple[str, ...] | None,
    now: float | None,
    shown: Annotated[int, Field(ge=0)],
) -> Any:
    """The experiment.

    path: the log, .jsonl or .parquet; domains: those to tell apart, null for all that it names; now: when it is
    judged, in seconds since the epoch, null for the time of its last item; shown: users in the notes.
    """
    return FeedbackLog(name, question, path, domains, now, shown)
