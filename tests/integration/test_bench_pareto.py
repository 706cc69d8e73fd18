"""The benchmark of fronts, made tiny, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

from command import Warm, run

TINY = (
    "+experiment=bench_pareto",
    "experiment.batches=[[4,12],[3,30]]",
    "experiment.fronts=[50]",
    "experiment.budget_s=0",
    "experiment.rounds=1",
    "experiment.turn_s=0",
    "tracking=jsonl",
)
CASES = ["batch_4x12", "batch_3x30", "front_50"]


def test_the_document_is_the_contracts(tmp_path: Path) -> None:
    done = run(*TINY, cwd=tmp_path)
    assert done.status == 0, done.stderr
    (path,) = (tmp_path / "reports" / "benchmarks").glob("pareto-*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["name"] == "pareto" and [cell["case"] for cell in document["cells"]] == CASES
    for cell in document["cells"]:
        assert cell["correct"] is True and cell["error"] is None, cell["error"]
        assert set(cell["peers"]) | set(cell["left_out"]) == {"moocore", "pymoo"}
    assert all(case in done.stdout for case in CASES)


def test_a_batch_that_is_none_is_refused(warm: Warm, tmp_path: Path) -> None:
    refused = warm("+experiment=bench_pareto", "experiment.batches=[[0,5]]", cwd=tmp_path)
    assert refused.status == 2 and "experiment.batches.0.0: given 0" in refused.stderr
