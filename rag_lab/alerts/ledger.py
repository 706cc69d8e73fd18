"""alerts.jsonl: what rules said of runs, a JSON object a line, so that a change is told once and not at every run.

A rule that rings is told. While it goes on ringing, or rings again before it has been quiet for some runs in a row,
nothing is told (flapping); then that it is over is told, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from rag_lab.alerts.rule import Found
from rag_lab.tracking.jsonl import Events, read

State = Literal["rings", "still rings", "quietens", "is over"]
TOLD: tuple[State, ...] = ("rings", "is over")
NAME = "alerts.jsonl"


class Ledger:
    """The ledger in a folder. quiet_runs: so many in a row end an alert."""

    def __init__(self, folder: Path, quiet_runs: int) -> None:
        self._path, self._quiet_runs = folder / NAME, quiet_runs
        self._lines: list[dict[str, Any]] = read(self._path) if self._path.is_file() else []

    def rang(self, series: str, rule: str) -> set[str]:
        """The runs of a series in which the rule rang; they are no baseline."""
        return {str(one["run_id"]) for one in self._of(series, rule) if one["state"] in ("rings", "still rings")}

    def note(self, run_id: str, series: str, found: Found) -> State | None:
        """Write down what a rule said; what that makes of the alert, None where there is none and was none."""
        state = self._state(series, found)
        if state is not None:
            line = {"run_id": run_id, "series": series, "state": state, **found._asdict()}
            Events(self._path).emit("alert", **line)
            self._lines.append(line)
        return state

    def _of(self, series: str, rule: str) -> list[dict[str, Any]]:
        return [one for one in self._lines if one["series"] == series and one["rule"] == rule]

    def _state(self, series: str, found: Found) -> State | None:
        states = [one["state"] for one in self._of(series, found.rule)]
        open_ = bool(states) and states[-1] != "is over"
        if found.verdict == "ringing":
            return "still rings" if open_ else "rings"
        if found.verdict == "not judged" or not open_:
            return None
        quiet = next((n for n, one in enumerate(reversed(states)) if one != "quietens"), 0)
        return "is over" if quiet + 1 >= self._quiet_runs else "quietens"
