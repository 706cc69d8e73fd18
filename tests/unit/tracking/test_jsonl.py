from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rag_lab.errors import DataError
from rag_lab.tracking.jsonl import Events, build, read
from rag_lab.tracking.tracker import DatasetInfo, RunInfo


def test_every_event_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "run" / "events.jsonl"
    events = Events(path)
    events.emit("stage", name="bake", done=3)
    assert json.loads(path.read_text())["done"] == 3
    events.emit("stage", name="répéter", done=4)
    first, _ = path.read_text().splitlines()
    assert list(json.loads(first)) == ["time", "kind", "name", "done"]
    assert [(event["name"], event["done"]) for event in read(path)] == [("bake", 3), ("répéter", 4)]


def test_time_is_utc(tmp_path: Path) -> None:
    Events(tmp_path / "events.jsonl").emit("start")
    (event,) = read(tmp_path / "events.jsonl")
    time = datetime.fromisoformat(str(event["time"]))
    assert time.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)


def test_values_become_plain_json(tmp_path: Path) -> None:
    Events(tmp_path / "events.jsonl").emit(
        "metrics",
        recall=np.float32(0.5),
        curve=np.array([1.0, np.nan]),
        nested={"gain": float("inf"), "pair": (1, None), 7: True},
        folder=Path("runs") / "x",
    )
    (event,) = read(tmp_path / "events.jsonl")
    assert event["recall"] == 0.5
    assert event["curve"] == [1.0, None]
    assert event["nested"] == {"gain": None, "pair": [1, None], "7": True}
    assert event["folder"] == str(Path("runs") / "x")


def test_what_json_cannot_hold_is_refused_and_leaves_the_file_whole(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    events.emit("start")
    with pytest.raises(TypeError):
        events.emit("bad", value=object())
    assert [event["kind"] for event in read(events.path)] == ["start"]


def test_a_line_may_hold_a_line_break(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    events.emit("note", text="two\nlines\u2028and a separator")
    assert len(read(events.path)) == 1


@pytest.mark.parametrize("torn", ['{"time": "2', '{"kind": "ended without a line break"}'])
def test_a_torn_last_line_is_not_read_and_is_cut_before_the_next(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "events.jsonl"
    Events(path).emit("first")
    with path.open("a") as file:
        file.write(torn)
    assert [event["kind"] for event in read(path)] == ["first"]
    Events(path).emit("second")
    assert [event["kind"] for event in read(path)] == ["first", "second"]


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.touch()
    assert read(path) == []
    Events(path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("line", ["not json", "[1, 2]", ""])
def test_a_bad_whole_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(f'{{"kind": "first"}}\n{line}\n{{"kind": "third"}}\n')
    with pytest.raises(DataError, match=r"events\.jsonl:2: not an event"):
        read(path)


def test_without_a_tracker_nothing_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = build()
    run = RunInfo("week2", "name", tmp_path, {}, {}, DatasetInfo("data", "0" * 64, "packaged", {}))
    assert tracker.start(run) is None
    tracker.variants({"static": {"retrieval/recall_at_10": 0.5}}, {}, None)
    tracker.curve("static", "bandit/cumulative_regret", [0], [1.0])
    tracker.finish({}, tmp_path, "finished")
    assert tracker.sweep_parent("week2", "sweep", {}) is None
    tracker.end_sweep(None, "finished")
    assert tracker.open_command() is None
    assert list(tmp_path.iterdir()) == []
