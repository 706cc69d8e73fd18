"""The benchmark of recording, made tiny, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

from command import run

TINY = (
    "+experiment=bench_telemetry", "experiment.records=5", "experiment.budget_s=0", "experiment.rounds=1",
    "experiment.turn_s=0", "tracking=jsonl",
)  # fmt: skip


def test_every_cell_is_checked_and_timed(tmp_path: Path) -> None:
    done = run(*TINY, cwd=tmp_path)
    assert done.status == 0, done.stderr
    (path,) = (tmp_path / "reports" / "benchmarks").glob("telemetry-*.json")
    cells = {cell["case"]: cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]}
    assert set(cells) == {"latency", "count", "answer"}
    assert all(cell["correct"] and cell["ours_ms"] > 0 and cell["floors"]["off"] > 0 for cell in cells.values())
    assert set(cells["latency"]["peers"]) == set(cells["count"]["peers"]) == {"prometheus"}
