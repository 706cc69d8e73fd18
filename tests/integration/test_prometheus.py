"""The real Prometheus, Debian's: its tool accepts the rules, and it scrapes a run and rings when the run slows down.

apt-get install prometheus
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from telemetry import Told, session

import rag_lab
from rag_lab.telemetry import current

SHIPPED = Path(rag_lab.__file__).parent / "telemetry" / "prometheus"
CASES = Path(__file__).parent / "prometheus" / "rules_test.yaml"
LIMIT_S = 90

pytestmark = pytest.mark.skipif(
    not (shutil.which("prometheus") and shutil.which("promtool")),
    reason="Prometheus is not installed; apt-get install prometheus",
)


def promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=cwd, text=True, capture_output=True, timeout=LIMIT_S)


def test_promtool_accepts_the_rules_and_the_configuration() -> None:
    for what, name in (("rules", "rules.yaml"), ("config", "prometheus.yaml")):
        done = promtool("check", what, name, cwd=SHIPPED)
        assert done.returncode == 0 and "SUCCESS" in done.stdout, done.stdout + done.stderr


def test_the_rules_ring_when_they_should_and_not_before(tmp_path: Path) -> None:
    for path in (SHIPPED / "rules.yaml", CASES):
        shutil.copy(path, tmp_path)
    done = promtool("test", "rules", CASES.name, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Prometheus:
    """A server that scrapes one port every half second, by the shipped rules."""

    def __init__(self, folder: Path, scraped: int) -> None:
        shutil.copy(SHIPPED / "rules.yaml", folder)
        config = yaml.safe_load((SHIPPED / "prometheus.yaml").read_text(encoding="utf-8"))
        config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        config["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{scraped}"]}]
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yaml",
                "--storage.tsdb.path=data",
                f"--web.listen-address={self.url.removeprefix('http://')}",
            ],
            cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def ask(self, path: str, **query: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as reply:
            return json.load(reply)["data"]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(LIMIT_S)


def until(found: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + LIMIT_S
    while True:
        try:
            if result := found():
                return result
        except OSError:
            pass  # it is still starting
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.2)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Prometheus]:
    """A run that measures itself, and a Prometheus that watches it."""
    told = Told()
    run = session(tmp_path / "metrics", told, port=0)
    server = Prometheus(tmp_path, told.of("exporter")[0]["port"])
    yield server
    server.close()
    run.finish("finished", {})


def answer(taken_ms: float) -> None:
    current.recorder().latencies("live", {"e2e": taken_ms}, queries=20)
    current.recorder().count("queries", 20, variant="live")


def test_it_scrapes_a_run_and_a_slow_down_rings(watched: Prometheus) -> None:
    def counted() -> Any:
        answer(5)
        return [float(one["value"][1]) for one in watched.ask("query", query="rag_lab_queries_total")["result"]]

    assert until(counted, "queries")[0] >= 20
    median = 'rag_lab:latency_seconds:p50{level="e2e",variant="live"}'

    def seen() -> Any:
        answer(5)
        return [float(one["value"][1]) for one in watched.ask("query", query=median)["result"]]

    (quick,) = until(seen, "median")
    assert 0.002 <= quick <= 0.005  # the bucket that holds 5 ms
    assert watched.ask("alerts")["alerts"] == []

    def ringing() -> Any:
        answer(8000)
        return [one for one in watched.ask("alerts")["alerts"] if one["state"] == "firing"]

    alerts = until(ringing, "alert")
    assert alerts[0]["labels"]["alertname"] == "RagLabSlow" and alerts[0]["labels"]["variant"] == "live"
    assert "the target is 3 s" in alerts[0]["annotations"]["summary"]
