"""The similarity benchmark, made tiny, through the real command: a run without a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from command import Done, Warm, run, tree

import rag_lab
from rag_lab.tracking import jsonl

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text(encoding="utf-8"))
TINY = (
    "+experiment=bench_similarity",
    "experiment.queries=[1,9]",
    "experiment.passages=[700]",
    "experiment.k=[3]",
    "experiment.budget_s=0",
    "experiment.rounds=1",
    "experiment.turn_s=0",
)
CASES = ["q1_n700_k3", "q9_n700_k3"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    finished = run(*TINY, cwd=tmp_path_factory.mktemp("bench"))
    assert finished.status == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def document(done: Done) -> dict[str, Any]:
    (path,) = (done.cwd / "reports" / "benchmarks").glob("similarity-*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_document_is_the_contracts(document: dict[str, Any]) -> None:
    assert document["name"] == "similarity" and document["threads"] >= 1 and document["device"]
    assert {"jax", "numpy"} <= document["versions"].keys() and {"sha", "dirty"} == document["git"].keys()
    assert [cell["case"] for cell in document["cells"]] == CASES
    for cell in document["cells"]:
        assert cell["correct"] is True and cell["error"] is None, cell["error"]
        assert cell["size"]["passages"] == 700 and cell["ours_ms"] > 0 and cell["compile_ms"] >= 0
        assert set(cell["peers"]) | set(cell["left_out"]) == {"faiss", "numpy"} and "numpy" in cell["peers"]
        assert set(cell["floors"]) == {"read_once", "matmul"}
        assert all(ms > 0 for ms in (*cell["peers"].values(), *cell["floors"].values()))


def test_table_and_picture_stand_beside_it(done: Done) -> None:
    found = {path.suffix for path in (done.cwd / "reports" / "benchmarks").iterdir()}
    assert found == {".json", ".md", ".svg"}


def test_the_run_is_a_run_like_any_other(done: Done, document: dict[str, Any]) -> None:
    summary = done.summary
    jsonschema.validate(summary, SCHEMA)
    assert summary["experiment"] == "bench_similarity" and summary["status"] == "finished"
    assert summary["data"]["domains"] == {} and summary["targets"] == [] and summary["variants"] == {}
    assert summary["metrics"]["similarity/q1_n700_k3/ours_ms"] == document["cells"][0]["ours_ms"]
    assert yaml.safe_load((done.folder / "resolved.yaml").read_text(encoding="utf-8"))["data"].keys() == {"_target_"}
    kinds = [event["kind"] for event in jsonl.read(done.folder / "events.jsonl")]
    assert kinds[0] == "started" and kinds[-1] == "finished" and kinds.count("cell") == len(CASES)
    assert (done.cwd / "runs" / "latest").resolve() == done.folder.resolve()
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert all(f">{case}<" in page for case in CASES) and "<svg" in page


def test_the_terminal_shows_the_cells_and_no_data(done: Done) -> None:
    assert all(case in done.stdout for case in CASES) and "faiss" in done.stdout
    assert "passages ·" not in done.stdout and "MLflow UI" in done.stdout


def test_nothing_is_written_elsewhere(done: Done) -> None:
    assert {path.name for path in done.cwd.iterdir()} == {"runs", "reports"}


def test_an_experiment_on_text_asks_for_data(warm: Warm, tmp_path: Path) -> None:
    refused = warm("+experiment=week2", "data=none", "tracking=jsonl", cwd=tmp_path)
    assert refused.status == 2
    assert refused.stderr.splitlines() == [
        "rag_lab: data=none has no domain, and this experiment needs one; give data=packaged"
    ]
    assert tree(tmp_path) == set()


def test_a_size_that_is_none_is_refused(warm: Warm, tmp_path: Path) -> None:
    refused = warm("+experiment=bench_similarity", "experiment.k=[0]", cwd=tmp_path)
    assert refused.status == 2 and "experiment.k.0: given 0" in refused.stderr
    assert tree(tmp_path) == set()
