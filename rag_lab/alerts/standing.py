"""alert=standing: a run is held against the runs before it by a list of rules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.alerts.judging import Judge, Settings
from rag_lab.alerts.rule import Rule
from rag_lab.alerts.runs import LEAST_RUNS
from rag_lab.alerts.webhook import Webhook


class Post(NamedTuple):
    """The webhook: its address stands in an environment variable, for it may hold a secret."""

    variable: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    tries: Annotated[int, Field(ge=1, le=10)]
    timeout_s: Annotated[float, Field(gt=0, le=60)]


def build(
    *,
    folder: Annotated[str, Field(min_length=1)],
    rules: dict[str, Rule],
    window: Annotated[int, Field(ge=LEAST_RUNS, le=1000)],
    level: Annotated[float, Field(gt=0, le=0.2)],
    resamples: Annotated[int, Field(ge=100)],
    quiet_runs: Annotated[int, Field(ge=1)],
    webhook: Post,
) -> Judge:
    """The rules and channels.

    folder: of the metrics files, whose history is the baseline and where alerts.jsonl is kept; window: earlier runs at
    most; level: of a false alarm of any rule; resamples: of the paired tests; quiet_runs: in a row end an alert.
    """
    url = os.environ.get(webhook.variable)
    posts = Webhook(url, webhook.tries, webhook.timeout_s) if url else None
    return Judge(Settings(Path(folder), rules, window, level, resamples, quiet_runs, posts))
