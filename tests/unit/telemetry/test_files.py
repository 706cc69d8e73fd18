"""Metrics files: whole, of one schema, removed when old, and never anybody else's."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from telemetry import document, facts, file_of

from rag_lab.errors import DataError
from rag_lab.telemetry import document as schema
from rag_lab.telemetry import files, history

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def written(folder: Path, age_days: float) -> Path:
    run = facts(started_at=(NOW - timedelta(days=age_days)).isoformat())
    files.write(file_of(folder, run), document([1.0, 2.0], facts=run))
    return file_of(folder, run)


def test_what_is_written_can_be_read_back_and_added_up(tmp_path: Path) -> None:
    first, second = document([1.0, 2.0, 3.0]), document([4.0, 5.0])
    files.write(tmp_path / "a.json", first)
    back = schema.read(tmp_path / "a.json")
    assert back == first
    both = back.histograms()["live", "e2e"] + second.histograms()["live", "e2e"]
    assert both.count == 5 and both.quantile(0.5) == pytest.approx(3, rel=0.005)


def test_a_level_without_a_record_is_absent() -> None:
    assert {one.level for one in document([1.0]).latencies} == {"e2e", "l1"}
    assert document([]).latencies == []


def test_old_files_of_ours_are_removed_and_no_others(tmp_path: Path) -> None:
    old, new = written(tmp_path, 31), written(tmp_path, 29)
    torn = tmp_path / f".0123456789ab.{old.name}"
    torn.write_text("half a file", encoding="utf-8")
    stamp = "2020-01-01T00-00-00-000000Z.json"
    foreign = {
        tmp_path / stamp: '{"format": "somebody else\'s"}',
        tmp_path / "notes.json": old.read_text(encoding="utf-8"),
        tmp_path / "2020-01-01.json": "{}",
        tmp_path / f".hidden.{stamp}": "",
    }
    for path, text in foreign.items():
        path.write_text(text, encoding="utf-8")
    (tmp_path / "2020-01-02T00-00-00-000000Z.json").mkdir()
    link = tmp_path / "2020-01-03T00-00-00-000000Z.json"
    link.symlink_to(tmp_path / "notes.json")

    assert set(files.remove_old(tmp_path, NOW, 30)) == {old, torn}
    assert not old.exists() and not torn.exists() and new.exists() and link.is_symlink()
    assert all(path.read_text(encoding="utf-8") == text for path, text in foreign.items())
    assert [path for path, _ in files.stored(tmp_path)] == [new]


def test_a_folder_that_does_not_exist_holds_nothing(tmp_path: Path) -> None:
    assert list(files.stored(tmp_path / "none")) == [] and files.remove_old(tmp_path / "none", NOW, 1) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("format", "rag_lab.metrics/2"), ("status", "odd"), ("surplus", 1), ("relative_error", 2), ("latencies", [{}])],
)
def test_another_schema_is_said(tmp_path: Path, key: str, value: object) -> None:
    content = json.loads(document([1.0]).model_dump_json())
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content | {key: value}), encoding="utf-8")
    with pytest.raises(DataError, match=rf"a\.json: not a metrics file of this version: {key}"):
        schema.read(path)


def test_the_history_is_a_row_per_number_and_can_be_queried(tmp_path: Path) -> None:
    assert history.query(tmp_path).num_rows == 0
    for number, status in enumerate(["finished", "failed", "finished"]):
        run = facts(run_id=f"run {number}", started_at=f"2026-05-0{number + 1}T00:00:00+00:00")
        history.write(tmp_path, f"2026-05-0{number + 1}", document([number + 1.0], facts=run, status=status))
    found = history.query(
        tmp_path, columns=["run_id", "value", "n"], metric="latency_ms/e2e_p50", variant="live", status="finished"
    ).to_pylist()
    assert [row["run_id"] for row in found] == ["run 0", "run 2"]
    assert [row["value"] for row in found] == pytest.approx([1, 3], rel=0.005) and found[0]["n"] == 1
    (recall, *_) = history.query(tmp_path, metric="retrieval/recall_at_10").to_pylist()
    assert recall["value"] == 0.5 and recall["variant"] == "" and recall["n"] is None
    assert recall["started_at"] == datetime(2026, 5, 1, tzinfo=UTC)
    names = set(history.query(tmp_path, columns=["metric"])["metric"].to_pylist())
    assert "total/queries{variant=live}" in names
    assert history.query(tmp_path, run_id=["run 0", "run 1"], metric="latency_ms/l1_p99").num_rows == 2
