"""A run's measurement: what its file says while it goes on and when it ends, whatever happens meanwhile."""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from telemetry import Told, facts, file_of, session, settings

from rag_lab.errors import ConfigError
from rag_lab.telemetry import current, document, history
from rag_lab.telemetry.local import Local
from rag_lab.telemetry.none import build as nothing

LIMIT_S = 20


def wait_for(told: Told, kind: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not told.of(kind):
        assert time.monotonic() < deadline, f"no event {kind}"
        time.sleep(0.005)


def record(count: int, taken_ms: float = 4.0) -> None:
    for _ in range(count):
        current.recorder().latencies("live", {"e2e": taken_ms})
        current.recorder().count("queries", variant="live")


def test_the_file_is_whole_from_the_first_moment_and_says_how_the_run_ended(tmp_path: Path) -> None:
    told, path = Told(), file_of(tmp_path, facts())
    one = session(tmp_path, told)
    assert document.read(path).status == "running"
    record(3)
    wait_for(told, "window")
    assert document.read(path).histograms()["live", "e2e"].count == 3
    record(2)
    ended = one.finish("finished", {"retrieval/recall_at_10": 0.5})
    assert current.recorder() is current.OFF
    assert ended == document.read(path)
    assert ended.status == "finished" and ended.histograms()["live", "e2e"].count == 5
    assert ended.metrics == {"retrieval/recall_at_10": 0.5}
    assert ("gpu" in ended.absent) != any("gpu" in gauge.name for gauge in ended.gauges)
    assert history.query(tmp_path, metric="latency_ms/e2e_p50")["n"].to_pylist() == [5]


def test_windows_hold_what_is_new_in_each(tmp_path: Path) -> None:
    told = Told()
    one = session(tmp_path, told)
    record(3, 4.0)
    wait_for(told, "window")
    record(2, 40.0)
    one.finish("finished", {})
    told_of = [row["latencies"]["live"]["e2e"] for row in told.of("window")]
    assert sum(row["count"] for row in told_of) == 5
    assert told_of[-1]["count"] == 2 and told_of[-1]["p50_ms"] == pytest.approx(40, rel=0.005)
    assert [window.latencies for window in one.windows] == [row["latencies"] for row in told.of("window")]
    assert sum(row["counters"]["queries/live"] for row in told.of("window")) == 5


def test_a_run_that_fails_after_all_is_recorded_so(tmp_path: Path) -> None:
    one = session(tmp_path)
    one.finish("finished", {"a": 1.0})
    one.finish("failed", {})
    assert document.read(file_of(tmp_path, facts())).status == "failed"
    assert set(history.query(tmp_path)["status"].to_pylist()) <= {"failed"}


def test_a_folder_that_cannot_be_written_stops_the_run_before_it_starts_but_not_later(tmp_path: Path) -> None:
    place = tmp_path / "reports"
    place.write_text("a file where the folder would be", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"telemetry\.folder: given .*/reports/metrics, but .*/reports is no folder"):
        Local(settings(place / "metrics")).check()
    told = Told()
    one = session(place / "metrics", told)
    record(1)
    ended = one.finish("finished", {})
    assert ended is not None and ended.histograms()["live", "e2e"].count == 1
    assert "reports" in ended.absent["file"]
    assert "the history was not written" in told.of("telemetry")[0]["why"]
    Local(settings(tmp_path / "new" / "metrics")).check()
    assert not (tmp_path / "new").exists()


def scraped(port: int) -> dict[str, list]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT_S) as reply:
        text = reply.read().decode()
    return {one.name: one.samples for one in text_string_to_metric_families(text)}


def test_prometheus_sees_the_run_while_it_lasts(tmp_path: Path) -> None:
    told = Told()
    one = session(tmp_path, told, port=0)
    (port,) = [row["port"] for row in told.of("exporter")]
    record(3, 4.0)
    current.recorder().count("errors", where="respond", kind="DataError")
    current.recorder().gauge("system/gpu_0_utilization_percentage", 88)
    found = scraped(port)
    assert found["rag_lab_run_info"][0].labels == {"run_id": "baseline-1", "experiment": "baseline"}
    latency = {(one.name, one.labels.get("le")): one for one in found["rag_lab_latency_seconds"]}
    assert latency["rag_lab_latency_seconds_bucket", "0.002"].value == 0
    assert latency["rag_lab_latency_seconds_bucket", "0.005"].value == 3
    assert latency["rag_lab_latency_seconds_bucket", "+Inf"].labels["level"] == "e2e"
    assert latency["rag_lab_latency_seconds_sum", None].value == pytest.approx(0.012)
    assert [one.value for one in found["rag_lab_queries"] if one.name == "rag_lab_queries_total"] == [3]
    assert found["rag_lab_errors"][0].labels == {"where": "respond", "kind": "DataError"}
    assert found["rag_lab_gpu_utilization_percentage"][0].value == 88
    assert all(re.fullmatch(r"rag_lab_[a-z_]+", name) for name in found)
    one.finish("finished", {})
    with pytest.raises(OSError):
        scraped(port)


def test_a_port_that_is_taken_ends_no_run(tmp_path: Path) -> None:
    told = Told()
    first = session(tmp_path, told, port=0)
    port = told.of("exporter")[0]["port"]
    second = session(tmp_path, run={"started_at": "2026-05-02T12:00:00+00:00"}, port=port)
    ended = second.finish("finished", {})
    first.finish("finished", {})
    assert ended is not None and str(port) in ended.absent["exporter"]


def test_nothing_is_measured_where_nothing_shall_be(tmp_path: Path) -> None:
    nothing().check()
    one = nothing().start(facts(), Told())
    assert current.recorder() is current.OFF
    assert one.finish("finished", {}) is None and one.windows == []
