"""Alerts: how often they ring for nothing, what they find, that they do not flap, and who hears of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet
from scipy import stats
from telemetry import document, facts

from rag_lab.alerts import runs
from rag_lab.alerts.judging import Judge, Settings, corrected
from rag_lab.alerts.ledger import NAME, Ledger
from rag_lab.alerts.rule import Found, Rule
from rag_lab.alerts.webhook import Webhook
from rag_lab.telemetry import history
from rag_lab.tracking.jsonl import read

SLOWER = Rule("latency_ms/e2e_p50", "runs", "higher", 0.1, None)
THROUGHPUT = Rule("throughput/queries_per_s", "runs", "lower", 0.1, None)
RECALL = Rule("recall_at_10", "queries", "lower", 0.005, None)
RULES = {"answers_slower": SLOWER, "throughput_lower": THROUGHPUT, "recall_lower": RECALL}
LEVEL = 0.05


def settings(folder: Path, **changes: Any) -> Settings:
    given = {"rules": RULES, "window": 20, "level": LEVEL, "resamples": 400, "quiet_runs": 2, "webhook": None}
    return Settings(folder, **(given | changes))


# Runs against the spread between runs


def test_a_worked_example_is_the_prediction_interval_of_a_log_normal() -> None:
    earlier = np.exp(np.array([-0.1, 0.0, 0.1] * 4) + np.log(10))
    found = runs.judge(SLOWER, 12.0, earlier, LEVEL)
    assert found.baseline == pytest.approx(10) and found.change == pytest.approx(0.2)
    logs = np.log(earlier)
    width = logs.std(ddof=1) * np.sqrt(13 / 12)
    assert found.p_value == pytest.approx(stats.t.sf(np.log(1.2) / width, 11))
    # Mirrored, a fall of the reciprocal is as surprising.
    assert runs.judge(THROUGHPUT, 1 / 12, 1 / earlier, LEVEL).p_value == pytest.approx(found.p_value)


@pytest.mark.parametrize(("value", "expected"), [(10.0, 1.0), (10.1, 0.0), (9.9, 1.0)])
def test_runs_that_do_not_differ_at_all_are_no_division_by_zero(value: float, expected: float) -> None:
    assert runs.judge(SLOWER, value, [10.0] * 10, LEVEL).p_value == expected


def rates(spread: float, slowed: float, earlier: int, tries: int = 2000) -> float:
    """The share of runs for which any of the two rules on time rings; both see the same noise."""
    random = np.random.default_rng(0)
    rang = 0
    own = Settings(Path(), {"a": SLOWER, "b": THROUGHPUT}, 20, LEVEL, 100, 2, None)
    for logs in spread * random.standard_normal((tries, earlier + 1)):
        latency = 10 * np.exp(logs)
        value = latency[-1] * slowed
        found = []
        for name, rule, now, before in (
            ("a", SLOWER, value, latency[:-1]),
            ("b", THROUGHPUT, 1000 / value, 1000 / latency[:-1]),
        ):
            one = runs.judge(rule, now, before, LEVEL)
            found.append(Found(name, "quiet", "", now, one.baseline, one.change, one.p_value, n=len(before)))
        rang += any(one.verdict == "ringing" for one in corrected(own, found))
    return rang / tries


@pytest.mark.parametrize("spread", [0.02, 0.05, 0.1])
def test_an_unchanged_run_rings_in_at_most_one_of_twenty(spread: float) -> None:
    assert rates(spread, slowed=1.0, earlier=10) <= LEVEL


def test_a_slow_down_of_a_fifth_is_found_where_runs_differ_by_a_twenty_fifth() -> None:
    assert rates(0.04, slowed=1.2, earlier=20) >= 0.95
    assert rates(0.03, slowed=1.2, earlier=10) >= 0.95


def test_what_is_said_to_be_detectable_is_found_so_often() -> None:
    random, rang, tries = np.random.default_rng(1), 0, 3000
    for logs in 0.05 * random.standard_normal((tries, 13)):
        earlier = 10 * np.exp(logs[:-1])
        slowed = runs.judge(SLOWER, 10.0, earlier, LEVEL).detectable
        rang += runs.judge(SLOWER, 10 * np.exp(logs[-1]) * (1 + slowed), earlier, LEVEL).p_value < LEVEL
    assert rang / tries >= runs.POWER - 0.03


# Whole runs: judged from the history, with their folders


class Past:
    """Runs of one series, each with its folder and its place in the history."""

    def __init__(self, folder: Path, judge: Judge) -> None:
        self.folder, self.judge, self.count = folder, judge, 0
        self.difficulty = np.random.default_rng(0).random(300)

    def run(self, latency_ms: float, lost: float = 0.0, series: str = "one", status: str = "finished") -> dict:
        """A run that answers so slowly and has so much less recall on every fourth query; what the rules say of it."""
        self.count += 1
        place = self.folder / "runs" / str(self.count)
        place.mkdir(parents=True)
        recall = self.difficulty - 4 * lost * (np.arange(300) % 4 == 0)
        rows = {
            "query_id": [f"q{n}" for n in range(300)],
            "domain": ["law" if n % 2 else "tax" for n in range(300)],
            "split": ["test"] * 300,
            "variant": ["live"] * 300,
            "recall_at_10": recall,
        }
        parquet.write_table(pa.table(rows), place / "per_query.parquet")
        own = facts(
            run_id=f"run {self.count}",
            folder=str(place),
            series=series,
            started_at=f"2026-05-01T12:00:00.{self.count:06d}+00:00",
        )
        metrics = {SLOWER.metric: latency_ms, THROUGHPUT.metric: 1000 / latency_ms}
        content = document([latency_ms], facts=own, metrics=metrics, status=status)
        history.write(self.folder, f"{self.count:06d}", content)
        return {one.rule: one for one in self.judge.judge(content, "live")}


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """Twelve runs that differ by two or three hundredths."""
    made = Past(tmp_path, Judge(settings(tmp_path)))
    for noise in (0.02, -0.03, 0.01, 0.03, -0.02, 0.0, 0.02, -0.01, -0.03, 0.03, 0.01, -0.02):
        made.run(10 * (1 + noise))
    return made


def test_without_enough_runs_it_says_so(tmp_path: Path) -> None:
    one = Past(tmp_path, Judge(settings(tmp_path)))
    first = one.run(10.0)
    assert first["answers_slower"].why == "0 earlier runs, and 10 are needed"
    assert first["recall_lower"].why == "no earlier run's folder holds the same queries"
    assert {found.verdict for found in first.values()} == {"not judged"}
    assert not (tmp_path / NAME).exists()


def test_an_unchanged_run_is_quiet(past: Past) -> None:
    found = past.run(10.1)
    assert {one.verdict for one in found.values()} == {"quiet"}
    assert found["recall_lower"].change == 0 and found["recall_lower"].p_value >= 0.5
    assert found["answers_slower"].n == 12 and 0 < found["answers_slower"].detectable < 0.2
    assert not (past.folder / NAME).exists()


def test_a_slow_run_rings_by_latency_and_throughput_alone(past: Past) -> None:
    found = past.run(12.5)
    assert [name for name, one in found.items() if one.verdict == "ringing"] == ["answers_slower", "throughput_lower"]
    assert "latency_ms/e2e_p50 12.5 from 10" in found["answers_slower"].why


def test_a_loss_of_recall_rings_by_recall_alone_and_a_gain_does_not(past: Past) -> None:
    found = past.run(10.0, lost=0.02)
    assert [name for name, one in found.items() if one.verdict == "ringing"] == ["recall_lower"]
    assert found["recall_lower"].change == pytest.approx(-0.02) and found["recall_lower"].n == 300
    assert past.run(10.0, lost=-0.02)["recall_lower"].verdict == "quiet"


def test_a_significant_change_below_the_effect_does_not_ring(past: Past) -> None:
    found = past.run(10.0, lost=0.004)["recall_lower"]
    assert found.p_adjusted < LEVEL and found.verdict == "quiet"


def test_many_small_losses_are_held_against_the_first_run(past: Past) -> None:
    assert past.run(10.0, lost=0.003)["recall_lower"].verdict == "quiet"
    assert past.run(10.0, lost=0.006)["recall_lower"].verdict == "ringing"


def test_a_pinned_run_is_the_baseline(tmp_path: Path) -> None:
    rules = {"recall_lower": RECALL._replace(against="run 2")}
    one = Past(tmp_path, Judge(settings(tmp_path, rules=rules)))
    one.run(10.0)
    assert one.run(10.0, lost=0.02)["recall_lower"].verdict == "not judged"  # it is the pinned one itself
    assert one.run(10.0, lost=0.02)["recall_lower"].change == 0
    missing = Past(tmp_path / "other", Judge(settings(tmp_path / "other", rules=rules)))
    assert missing.run(10.0)["recall_lower"].verdict == "not judged"


def test_runs_of_another_series_and_failed_ones_are_no_baseline(past: Past) -> None:
    assert past.run(99.0, series="two")["answers_slower"].n is None
    for _ in range(3):
        past.run(99.0, status="failed")
    assert past.run(10.0)["answers_slower"].n == 12


def test_a_lasting_slow_down_does_not_become_the_baseline_and_is_told_once(past: Past) -> None:
    for _ in range(4):
        assert past.run(12.5)["answers_slower"].verdict == "ringing"
    for _ in range(3):
        assert past.run(10.0)["answers_slower"].verdict == "quiet"
    lines = [line for line in read(past.folder / NAME) if line["rule"] == "answers_slower"]
    assert [line["state"] for line in lines] == ["rings"] + ["still rings"] * 3 + ["quietens", "is over"]
    assert all(line["kind"] == "alert" and line["series"] == "one" for line in lines)


# The ledger


def test_ringing_again_at_once_is_flapping_and_is_not_told(tmp_path: Path) -> None:
    ringing, quiet = Found("a", "ringing", ""), Found("a", "quiet", "")
    states = [
        Ledger(tmp_path, quiet_runs=2).note(str(n), "one", found)
        for n, found in enumerate([quiet, ringing, quiet, ringing, quiet, Found("a", "not judged", ""), quiet, quiet])
    ]
    assert states == [None, "rings", "quietens", "still rings", "quietens", None, "is over", None]
    assert Ledger(tmp_path, 2).note("9", "two", ringing) == "rings"
    assert Ledger(tmp_path, 2).rang("one", "a") == {"1", "3"}


# The webhook


@pytest.fixture
def server() -> Iterator[tuple[str, list[Any], list[int]]]:
    """A real one: (address, what was posted, the statuses that it will answer, then 200)."""
    posted: list[Any] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{one.server_port}/secret", posted, statuses
        one.shutdown()
        thread.join()


def test_an_alert_reaches_the_webhook(past: Past, server: tuple[str, list[Any], list[int]], caplog: Any) -> None:
    past.judge.settings = settings(past.folder, webhook=Webhook(server[0], 2, 5))
    past.run(12.5)
    assert [one["rule"] for one in server[1]] == ["answers_slower", "throughput_lower"]
    assert server[1][0]["run_id"] == "run 13" and server[1][0]["text"].startswith("alert answers_slower rings: latency")
    assert "alert answers_slower rings" in caplog.text


def test_a_webhook_is_tried_again_where_that_may_help(server: tuple[str, list[Any], list[int]]) -> None:
    waited: list[float] = []
    server[2].extend([503, 429])
    assert Webhook(server[0], 3, 5).post({"text": "a"}, waited.append) is None
    assert len(server[1]) == 3 and waited == [0.5, 1.0]
    server[2].append(404)
    assert Webhook(server[0], 3, 5).post({"text": "a"}, waited.append) == "127.0.0.1 answers 404"
    assert len(server[1]) == 4


def test_a_webhook_that_is_not_there_is_said_without_its_secret() -> None:
    waited: list[float] = []
    said = Webhook("http://127.0.0.1:9/secret", 2, 5).post({"text": "a"}, waited.append)
    assert said is not None and said.startswith("127.0.0.1 does not answer") and "secret" not in said
    assert len(waited) == 1
    assert "begin with http" in str(Webhook("file:///etc/passwd", 2, 5).post({}))
