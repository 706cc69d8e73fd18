"""`python little_job.py …`: the real command with a job that costs nothing, so that a sweep can be watched.

All is real but the experiment: it scores a parabola in policy.prior_strength, best at 20, and behaves as
LITTLE_JOB says. A worker imports this file again, so the double stands in every process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rag_lab import cli
from rag_lab.errors import ConfigError, GateFailed
from rag_lab.tracking import trial

PATIENCE_S = 120  # for others to come, on a machine however busy
RECALL, COST = "retrieval/recall_at_10", "cost/usd_per_1k_queries"


def meet(x: float) -> None:
    """Wait until two jobs are at work at the same time."""
    met = Path("met")
    met.mkdir(exist_ok=True)
    (met / str(os.getpid())).touch()
    wait_for(lambda: len(list(met.iterdir())) >= 2)


def hold(x: float) -> None:
    """Be at work, from the third trial on, until there is a file `go`."""
    part = trial.current()
    assert part is not None
    if part.number >= 2:
        Path(f"holding-{os.getpid()}").touch()
        wait_for(Path("go").exists)


def report(x: float) -> None:
    """Tell how it stands at five steps."""
    for step in range(5):
        trial.report({f"train/{RECALL}": score(x) * (step + 1) / 5}, step)


def refuse(x: float) -> None:
    """Refuse the larger half."""
    if x > 25:
        raise ConfigError(f"policy.prior_strength: given {x}; allowed is 25 or less")


def break_down(x: float) -> None:
    """Fail by a fault of the code where x is large."""
    if x > 25:
        raise AttributeError("of nothing")


def die(x: float) -> None:
    """Be killed, as when memory runs out, where x is large."""
    if x > 25:
        os.kill(os.getpid(), signal.SIGKILL)


def work(x: float) -> None:
    """Nothing more."""


def wait_for(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not come():
        if time.monotonic() > deadline:
            raise TimeoutError("it never came to that")
        time.sleep(0.01)


def score(x: float) -> float:
    return 1 - ((x - 20) / 50) ** 2


def execute(job: tuple[Any, ...], console: object) -> dict[str, Any]:
    config, _, folder, command, name, _, tags = job
    print(f"{name} {dict(tags)} {command}")
    x = float(config["policy"]["prior_strength"])
    globals()[os.environ.get("LITTLE_JOB", "work")](x)
    document = {"status": "finished", "metrics": {RECALL: score(x), COST: x}, "train": {RECALL: score(x)}}
    (folder / "summary.json").write_text(json.dumps(document), encoding="utf-8")
    if config["gate"]:
        raise GateFailed("gate=true: missed all")
    return document


sys.modules["rag_lab.experiment"] = SimpleNamespace(Job=lambda *fields: fields, execute=execute)  # type: ignore[assignment]

if __name__ == "__main__":
    cli.main()
