"""What the page reads of runs, without a browser: the list, events as they grow, what is kept, what is hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from rag_lab.dashboard import address, kept
from rag_lab.dashboard.address import Shown
from rag_lab.dashboard.following import POINTS, RECENT, Following
from rag_lab.dashboard.index import SILENT_S, Index
from rag_lab.dashboard.measured import Measured
from rag_lab.dashboard.veil import veil
from rag_lab.tracking.jsonl import Events

SUMMARY = {
    "experiment": "week2", "started_at": "2026-01-02T03:04:05+00:00", "status": "finished", "duration_s": 61.0,
    "data": {"domains": {"law": {}, "food": {}}}, "targets": [{"verdict": one} for one in ("met", "missed", "met")],
}  # fmt: skip


def run(folder: Path, **summary: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(SUMMARY | summary))
    return folder


def index(runs: Path) -> Index:
    return Index(runs, Measured(runs.parent / "reports" / "metrics"))


# The list


def test_the_list_holds_runs_at_any_depth_newest_first_and_no_copies(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run(runs / "week2" / "one", started_at="2026-01-01T00:00:00+00:00")
    run(runs / "week2" / "sweep" / "0", started_at="2026-01-03T00:00:00+00:00")
    run(runs / "reference" / "week2" / "packaged", started_at="2026-01-02T00:00:00+00:00")
    run(runs / "artifacts" / "0" / "abc")
    run(runs / ".cache" / "x")
    (runs / "latest").symlink_to(runs / "week2" / "one")
    assert [row.key for row in index(runs).rows()] == ["week2/sweep/0", "reference/week2/packaged", "week2/one"]


def test_a_row_says_what_the_summary_does(tmp_path: Path) -> None:
    run(tmp_path / "runs" / "week2" / "one")
    (row,) = index(tmp_path / "runs").rows()
    assert (row.status, row.duration_s, row.data, row.tally) == (
        "finished",
        61.0,
        ("law", "food"),
        {"met": 2, "missed": 1},
    )


def test_a_summary_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path / "runs" / "week2" / "one")
    listed = index(tmp_path / "runs")
    first = listed.rows()
    assert listed.rows()[0] is first[0]
    (folder / "summary.json").write_text(json.dumps(SUMMARY | {"status": "failed", "failure": "no disk"}))
    assert [(row.status, row.what) for row in listed.rows()] == [("failed", "no disk")]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"experiment": "week2"}', "\0\0\0"])
def test_a_torn_summary_costs_its_own_row_alone(tmp_path: Path, text: str) -> None:
    run(tmp_path / "runs" / "week2" / "good")
    (run(tmp_path / "runs" / "week2" / "torn") / "summary.json").write_text(text)
    rows = {row.key: row.status for row in index(tmp_path / "runs").rows()}
    assert rows == {"week2/good": "finished", "week2/torn": "unreadable"}


def test_no_folder_of_runs_is_no_run(tmp_path: Path) -> None:
    assert index(tmp_path / "nowhere").rows() == []


def test_a_run_without_a_summary_goes_on_until_it_is_silent(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "week2" / "2026-01-02_03-04-05-000006" / "events.jsonl"
    events = Events(path)
    events.emit("started", experiment="week2")
    events.emit("progress", what="learn", done=1, total=4, unit="policies", per_s=0.5)
    listed = index(tmp_path / "runs")
    (row,) = listed.rows()
    assert (row.status, row.what, row.share) == ("running", "learn", 0.25)
    old = path.stat().st_mtime - SILENT_S - 1
    os.utime(path, (old, old))
    assert listed.rows()[0].status == "silent"


@pytest.mark.parametrize("alive", [True, False])
def test_the_process_that_a_metrics_file_names_tells_killed_from_running(tmp_path: Path, alive: bool) -> None:
    folder = tmp_path / "runs" / "week2" / "one"
    Events(folder / "events.jsonl").emit("started", experiment="week2")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    metrics = tmp_path / "reports" / "metrics"
    metrics.mkdir(parents=True)
    document = {
        "format": "rag_lab.metrics/1",
        "run": {"folder": "runs/week2/one", "pid": os.getpid() if alive else ended.pid},
    }
    (metrics / "now.json").write_text(json.dumps(document))
    (metrics / "torn.json").write_text('{"format": "rag_lab.metr')
    (metrics / "other.json").write_text('{"of": "somebody else"}')
    assert index(tmp_path / "runs").rows()[0].status == ("running" if alive else "killed")


# Events


def test_events_are_read_on_from_where_the_last_look_ended(tmp_path: Path) -> None:
    events, follow = Events(tmp_path / "events.jsonl"), Following()
    events.emit("started", experiment="week2")
    events.emit("progress", what="encode", done=1, total=2, unit="texts", per_s=1.0)
    assert follow(tmp_path).kinds == {"started": 1, "progress": 1}
    offset = follow(tmp_path).offset
    events.emit("progress", what="encode", done=2, total=2, unit="texts", per_s=1.0)
    with events.path.open("ab") as file:
        file.write(b'{"time": "2026-01-01T0')  # being written, or torn by SIGKILL
    followed = follow(tmp_path)
    assert followed.offset > offset and followed.torn == 0 and followed.behind > 0
    assert followed.current is not None and followed.current.counts == [1, 2] and followed.current.share == 1.0


def test_lines_that_are_no_event_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('[]\nnull\nnonsense\n{"kind": "x"}\n{"time": "2026-01-01T00:00:00+00:00", "kind": "data"}\n')
    followed = Following()(tmp_path)
    assert (followed.torn, dict(followed.kinds)) == (4, {"data": 1})


def test_a_file_that_was_begun_anew_is_read_anew(tmp_path: Path) -> None:
    follow, events = Following(), Events(tmp_path / "events.jsonl")
    for _ in range(5):
        events.emit("cell", case="a")
    assert follow(tmp_path).kinds == {"cell": 5}
    events.path.unlink()
    Events(events.path).emit("started")
    assert follow(tmp_path).kinds == {"started": 1}


def test_what_is_kept_of_many_events_is_bounded_and_the_ends_stay(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    progress = {"kind": "progress", "what": "all", "total": 20_000, "unit": "rows", "per_s": 1.0}
    lines = [
        json.dumps({"time": (start + timedelta(seconds=n)).isoformat(), "done": n} | progress) for n in range(20_000)
    ]
    lines += [json.dumps({"time": "2026-01-02T00:00:00+00:00", "kind": "cell", "n": n}) for n in range(1000)]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
    follow = Following()
    followed = follow(tmp_path)
    while followed.behind:
        followed = follow(tmp_path)
    bar = followed.bars["all"]
    assert len(followed.recent) == RECENT and followed.recent[-1]["n"] == 999
    assert len(bar.times) <= POINTS and (bar.counts[0], bar.counts[-1]) == (0, 19_999)
    assert bar.counts == sorted(bar.counts) and bar.times == bar.counts and followed.torn == 0
    assert max(np.diff(bar.times)) < 20_000 / POINTS * 5  # no part of the run is left out


# What is kept


def test_a_computation_is_done_once_until_its_source_changes(tmp_path: Path) -> None:
    source, asked = tmp_path / "source", []
    source.write_text("1")

    def compute() -> list[str]:
        asked.append(source.read_text())
        return asked[-1:]

    store = tmp_path / "store"
    assert [kept.once(store, "x", [source], compute) for _ in range(3)] == [["1"]] * 3
    assert kept.once(store, "another", [source], compute) == ["1"] and len(asked) == 2
    source.write_text("22")
    assert kept.once(store, "x", [source], compute) == ["22"] and len(asked) == 3
    for path in store.iterdir():
        path.write_text("{torn")
    assert kept.once(store, "x", [source], compute) == ["22"]


def test_a_store_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    assert kept.once(tmp_path / "store", "x", [tmp_path / "store"], lambda: 7) == 7


# Addresses and secrets


@pytest.mark.parametrize(
    "shown",
    [
        Shown(),
        Shown("week2/a b", "targets"),
        Shown("week2/a", "compare", "week2/ü&=?", "thompson_rich"),
        Shown("reference/week2/beir", "quality", every=True),
    ],
)
def test_an_address_says_what_is_shown(shown: Shown) -> None:
    assert address.parse(shown.href.partition("/")[2]) == shown


@pytest.mark.parametrize("search", [None, "", "?view=nonsense", "?%00&&=", "?with"])
def test_an_address_that_asks_for_nothing_shows_the_first_view(search: str | None) -> None:
    assert address.parse(search).view == "overview"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("generator.openai.api_key=sk-123 seed=0", "generator.openai.api_key=… seed=0"),
        ("'password': 'hunter2', x", "'password': '…', x"),
        ("redis://me:secret@host:6379/0", "redis://…@host:6379/0"),
        ("Authorization: Bearer abc.def", "Authorization: … …"),
        ("max_tokens=128 token_budget=3", "max_tokens=128 token_budget=3"),
    ],
)
def test_secrets_are_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert veil(text) == shown
