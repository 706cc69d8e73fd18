"""Every run measures itself, by the real command: what it says is right, outlives a kill, and rings when it should.

No time is asserted: a test must not fail because the machine is busy.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import ROOT, Done, Workplace, environment
from pyarrow import parquet
from telemetry import Told, session
from telemetry import document as measured

from rag_lab.telemetry import current, document, files, history
from rag_lab.telemetry.document import Document
from rag_lab.tracking import jsonl

RUN = (
    "+experiment=baseline", "data.max_passages=600", "data.max_queries=90", "experiment.resamples=200",
    "experiment.requests=40", "tracking=jsonl",
)  # fmt: skip
MEASURED = ("telemetry.every_s=0.2", "telemetry.prometheus.port=null")
METRICS = Path("reports") / "metrics"
LIMIT_S = 60


@pytest.fixture(scope="module")
def place(session_folder: Path) -> Workplace:
    return Workplace(session_folder / "measured")


@pytest.fixture(scope="module")
def first(place: Workplace) -> Done:
    done = place("first", *RUN, *MEASURED)
    assert done.status == 0, done.stderr
    return done


def document_of(done: Done) -> Document:
    (found,) = [
        one for _, one in files.stored(done.cwd / METRICS) if one.run.folder == str(done.folder.relative_to(done.cwd))
    ]
    return found


def test_the_file_is_the_run_s_own_numbers(first: Done) -> None:
    found = document_of(first)
    assert found.status == "finished" and found.metrics == pytest.approx(first.summary["metrics"])
    assert found.run.run_id == first.summary["run_id"] and found.run.config_hash == first.summary["config_hash"]
    traces = parquet.read_table(first.folder / "answers.parquet")
    histograms = found.histograms()
    for level in ("l1", "l2", "l3", "filter"):
        one, exact = histograms["baseline", level], traces[f"{level}_ms"].to_numpy()
        assert one.count == len(exact) == 40 and one.sum_ms == pytest.approx(exact.sum())
        for share in (0.5, 0.95):
            assert one.quantile(share) == pytest.approx(np.quantile(exact, share, method="lower"), rel=0.0051)
    # A run's end-to-end time holds what feedback takes; a user waits for the answer alone.
    whole = histograms["baseline", "e2e"].sum_ms + histograms["baseline", "learn"].sum_ms
    assert whole == pytest.approx(traces["e2e_ms"].to_numpy().sum())
    counters = {(one.name, *one.labels.values()): one.value for one in found.counters}
    assert counters["queries", "baseline"] == 40 and counters["work", "requests", "answer"] == 80
    assert {"system/process_cpu_percentage", "system/process_memory_megabytes"} <= {one.name for one in found.gauges}


def test_windows_are_told_while_it_goes_on_and_add_up(first: Done) -> None:
    windows = [event for event in jsonl.read(first.folder / "events.jsonl") if event["kind"] == "window"]
    assert sum(one["latencies"].get("baseline", {}).get("e2e", {}).get("count", 0) for one in windows) == 40
    assert sum(one["counters"].get("queries/baseline", 0) for one in windows) == 40


def test_the_history_can_be_queried(first: Done) -> None:
    found = history.query(first.cwd / METRICS, metric="latency_ms/e2e_p50", variant="baseline", kind="latency")
    assert found["n"].to_pylist() == [40] and found["experiment"].to_pylist() == ["baseline"]


def test_a_run_that_got_slower_rings_and_ends_the_gate(place: Workplace, first: Done) -> None:
    """Twelve earlier runs that were ten times as quick are put into the history."""
    found = document_of(first)
    for number in range(12):
        p50 = found.metrics["latency_ms/e2e_p50"] / 10 * (1 + 0.01 * (number % 3))
        own = found.run.model_copy(update={"run_id": f"quick {number}", "folder": "nowhere"})
        quick = measured([p50], facts=own, metrics={"latency_ms/e2e_p50": p50})
        history.write(first.cwd / METRICS, f"0000-{number:02d}", quick)
    done = place("slower", *RUN, *MEASURED, "gate=true")
    assert done.status == 3, done.stderr
    assert "gate=true: ringing: answers_slower; see " in done.stderr
    lines = jsonl.read(done.cwd / METRICS / "alerts.jsonl")
    assert [(line["rule"], line["state"]) for line in lines] == [("answers_slower", "rings")]
    told = {
        event["rule"]: event["verdict"]
        for event in jsonl.read(done.folder / "events.jsonl")
        if event["kind"] == "alert"
    }
    assert told["answers_slower"] == "ringing" and told["throughput_lower"] == "not judged"
    assert told["recall_lower"] == told["ndcg_lower"] == "quiet"  # held against the first run, query by query
    assert place("unmeasured", *RUN, "telemetry=none", "alert=none", "gate=true").status == 0
    assert len(list(files.stored(done.cwd / METRICS))) == 2


# Killed at any time: this file, run as a program, measures until it is killed.


def measure_for_ever(folder: Path) -> None:
    session(folder, Told(), run={"started_at": "2026-05-01T12:00:00+00:00"}, every_s=0.05, keep_days=36500)
    while True:
        current.recorder().latencies("live", {f"l{n % 9}": n + 1.0 for n in range(2000)})
        current.recorder().count("queries", variant="live")


@pytest.mark.parametrize("after_s", [0.0, 0.13, 0.31])
def test_a_kill_leaves_a_whole_file(tmp_path: Path, after_s: float) -> None:
    env = environment({"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])})
    process = subprocess.Popen([sys.executable, __file__, str(tmp_path)], env=env)
    deadline = time.monotonic() + LIMIT_S
    while not (found := list(files.stored(tmp_path))) or not found[0][1].latencies:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait(LIMIT_S)
    ((path, content),) = files.stored(tmp_path)
    assert content == document.read(path) and content.status == "running" and content.run.pid == process.pid
    assert content.histograms()["live", "l0"].count > 0


if __name__ == "__main__":
    measure_for_ever(Path(sys.argv[1]))
