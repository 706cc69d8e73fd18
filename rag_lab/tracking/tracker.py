"""What an experiment asks of a tracker, and what it tells it.

Calls come in the order start, (variants | curve | rows | tag)*, finish. Metric names are those of summary.json; a value
that is not finite is absent, and is left out. Trackers raise ConfigError when their store cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

Status = Literal["finished", "failed", "killed"]  # killed: interrupted by the user


class DatasetInfo(NamedTuple):
    """The data set of a run. `profile` counts what is in it: passages, queries, by domain."""

    name: str
    fingerprint: str
    source: str
    profile: Mapping[str, object]


class RunInfo(NamedTuple):
    """A run about to start. `params` is the resolved configuration, nested; `folder` the run's folder."""

    experiment: str
    run_name: str
    folder: Path
    params: Mapping[str, object]
    tags: Mapping[str, str]
    dataset: DatasetInfo
    parent_run_id: str | None = None


class Tracker(Protocol):
    """Records one run at a time."""

    def start(self, run: RunInfo) -> str | None:
        """Open the run; its id, or None where nothing is recorded."""
        ...

    def variants(
        self,
        metrics: Mapping[str, Mapping[str, float]],
        tags: Mapping[str, Mapping[str, str]],
        baseline: str | None,
    ) -> None:
        """Record each variant's metrics (variant -> metric -> number) and tags (variant -> tag -> text).

        baseline: the variant that the others are held against, if there is one.
        """
        ...

    def curve(self, variant: str, metric: str, steps: Sequence[int], values: Sequence[float]) -> None:
        """Record a metric of one variant over steps; both sequences have the same length."""
        ...

    def rows(self, variant: str | None, rows: Iterable[tuple[str, int, float]]) -> None:
        """Record (metric, step, value) rows of one variant, or of the run itself."""
        ...

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags on the run itself."""
        ...

    def finish(self, metrics: Mapping[str, float], artifacts: Path, status: Status) -> None:
        """Record the run's own metrics and the small files of its folder, and close it."""
        ...

    def open_command(self) -> str | None:
        """The shell command that shows what was recorded, or None."""
        ...

    def sweep_parent(self, experiment: str, name: str, tags: Mapping[str, str]) -> str | None:
        """Open the run that the runs of a sweep belong to; its id, for `RunInfo.parent_run_id`."""
        ...

    def end_sweep(self, run_id: str | None, status: Status, artifacts: Path | None = None) -> None:
        """Close what `sweep_parent` opened, with the small files of the sweep's folder."""
        ...
