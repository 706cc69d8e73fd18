"""The encoder benchmark, made tiny, through the real command: the real model, made-up ids and a few texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Done, Warm, run, tree

TINY = (
    "+experiment=bench_encoder",
    "experiment.batches=[1,3]",
    "experiment.tokens=[16]",
    "experiment.passages=5",
    "experiment.budget_s=0",
    "experiment.rounds=1",
    "experiment.turn_s=0",
    "tracking=jsonl",
)
CASES = ["b1_t16", "b3_t16", "passages"]
PEERS = {"onnxruntime", "sentence_transformers"}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, little: Path) -> Done:
    finished = run(*TINY, "data=beir", f"data.domains.law={little}", cwd=tmp_path_factory.mktemp("bench"))
    assert finished.status == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def document(done: Done) -> dict[str, Any]:
    (path,) = (done.cwd / "reports" / "benchmarks").glob("encoder-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_document_is_the_contracts(document: dict[str, Any]) -> None:
    assert document["name"] == "encoder" and document["threads"] >= 1 and document["precision"] == "float32"
    assert [cell["case"] for cell in document["cells"]] == CASES
    for cell in document["cells"]:
        assert cell["correct"] is True and cell["error"] is None, cell["error"]
        assert cell["ours_ms"] > 0 and cell["gflop_per_s"] > 0
        assert set(cell["peers"]) | set(cell["left_out"]) == PEERS and set(cell["peers"]) == set(cell["peer_ways"])
        assert set(cell["floors"]) == {"matmul"} and cell["floors"]["matmul"] > 0
    assert [cell["size"]["real_tokens"] for cell in document["cells"][:2]] == [16, 48]


def test_the_run_is_a_run_like_any_other(done: Done, document: dict[str, Any]) -> None:
    assert done.summary["metrics"]["encoder/passages/ours_ms"] == document["cells"][-1]["ours_ms"]
    assert {path.suffix for path in (done.cwd / "reports" / "benchmarks").iterdir()} == {".json", ".md", ".svg"}
    assert {path.name for path in done.cwd.iterdir()} == {"runs", "reports"}
    assert all(case in done.stdout for case in CASES)


def test_an_encoder_that_computes_nothing_is_refused(warm: Warm, tmp_path: Path) -> None:
    refused = warm(*TINY, "data=none", "encoder=vectors", cwd=tmp_path)
    assert refused.status == 2 and "give encoder=minilm" in refused.stderr
    assert tree(tmp_path) == set()
