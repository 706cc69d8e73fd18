"""Week 3's experiment, made small, through the real command: what a cache brings, and its verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as parquet
import pytest
from command import Done, Warm, run, tree

import rag_lab
from rag_lab.cache.layering import LAYERS

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text(encoding="utf-8"))
SMALL = (
    "+experiment=week3",
    "data.max_queries=120",
    "data.max_passages=600",
    "experiment.requests=150",
    "experiment.resamples=100",
    "experiment.sweeps={exponents: [0.5, 1.5], lengths: [100, 400], max_bytes: [20000, 4000000], ttl_s: [10, 3600]}",
    "experiment.expiry.values=3",
    "experiment.pairs=5",
    "tracking=jsonl",
)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    finished = run(*SMALL, "cache.layers.semantic.serve=true", cwd=tmp_path_factory.mktemp("week3"))
    assert finished.status == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def summary(done: Done) -> dict[str, Any]:
    return done.summary


def test_the_summary_is_the_contract_s(summary: dict[str, Any]) -> None:
    jsonschema.validate(summary, SCHEMA)
    assert summary["status"] == "finished" and list(summary["variants"]) == ["none", "embedded", "memory"]
    for layer in LAYERS:
        for variant in ("embedded", "memory"):
            found = summary["variants"][variant]
            assert 0 < found[f"cache/{layer}/hit_rate_ci_low"] <= found[f"cache/{layer}/hit_rate"] < 1
            assert found[f"cache/{layer}/repeat_hit_rate"] == 1 and found[f"cache/{layer}/errors"] == 0
        assert f"cache/{layer}/hit_rate" not in summary["variants"]["none"]
        assert summary["metrics"][f"cache/{layer}/late_s_max"] < 1
    assert 0 < summary["metrics"]["latency_ms/cache_p50"] <= summary["metrics"]["latency_ms/cache_p99"]


def test_every_answer_is_the_one_without_a_cache(summary: dict[str, Any]) -> None:
    assert {one["equal_answers"] for one in summary["variants"].values()} == {1}


def test_what_is_found_is_not_paid_for(done: Done, summary: dict[str, Any]) -> None:
    """Calls and cost, recounted from the answers' own rows."""
    rows = parquet.read_table(done.folder / "answers.parquet").to_pandas()
    for variant, own in rows.groupby("variant"):
        calls = own.computed_embedding.sum() + 2 * own.computed_evidence.sum() + own.computed_answer.sum()
        assert summary["variants"][variant]["cost/api_calls_per_query"] == pytest.approx(calls / 150)
    plain, cached = summary["variants"]["none"], summary["variants"]["embedded"]
    assert plain["cost/api_calls_per_query"] == 4
    found = rows[rows.variant == "embedded"]
    first = ~found.query_id.duplicated()
    assert (found.computed_evidence == first).all() and (found.computed_answer == first).all()
    assert cached["cost/usd_per_1k_queries"] < plain["cost/usd_per_1k_queries"]
    assert summary["variants"]["memory"]["cost/usd_per_1k_queries"] == cached["cost/usd_per_1k_queries"]


def test_the_targets_are_judged_or_say_why_not(summary: dict[str, Any]) -> None:
    rows = {row["id"]: row for row in summary["targets"]}
    assert rows["w3.cost"]["verdict"] == "met" and rows["w3.ttl"]["verdict"] == "met"
    assert rows["w3.hit_rate"]["value"] == summary["metrics"]["cache/evidence/hit_rate"]
    assert rows["w3.latency"]["verdict"] == "not measured" and "needs 500 requests" in rows["w3.latency"]["why"]


def test_sweeps_go_the_way_that_they_must(done: Done) -> None:
    swept = json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))["caches"]["sweeps"]
    for name, found in swept.items():
        for layer in LAYERS:
            low, high = found[layer]
            assert 0 <= low < high < 1, (name, layer)


def test_what_near_questions_would_do_is_told(done: Done) -> None:
    found = json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))["semantic"]
    for split, rows in found["splits"].items():
        assert [row["at"] for row in rows] == found["promise"]["thresholds"]
        assert all(0 <= row["false"] <= row["hits"] <= found["asked"][split]["questions"] for row in rows)
    kinds = [one["kind"] for one in found["pairs"]]
    assert kinds[:4] == ["twins", "capitals", "word order", "function words"] and "negation" in kinds
    for one in found["pairs"]:
        assert all(0 <= row["false"] <= row["hits"] <= one["asked"] for row in one["rows"])


def test_a_semantic_layer_that_cannot_keep_its_promise_stays_off_and_says_so(
    done: Done, summary: dict[str, Any]
) -> None:
    """So few questions promise nothing."""
    found = json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))["semantic"]
    assert found["promise"]["serve"] and found["threshold"] is None
    assert summary["variants"]["embedded"]["cache/evidence/near_hits"] == 0
    assert (done.folder / "report.html").read_text(encoding="utf-8").count("Semantic layer off: no threshold") == 1


def test_page_and_terminal_show_it(done: Done) -> None:
    page = (done.folder / "report.html").read_text(encoding="utf-8")
    assert (
        page.count('id="cache"') == page.count('id="hit-rates"') == 1
        and "What remembering brings" in page
        and "Hit rates" in page
    )
    assert "What remembering brings" in done.stdout and "▸ embedded" in done.stdout


def test_without_a_cache_there_is_nothing_to_ask(warm: Warm, tmp_path: Path) -> None:
    refused = warm(*SMALL, "cache=none", cwd=tmp_path)
    assert refused.status == 2 and "give cache=memory, embedded or redis" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1 and tree(tmp_path) == set()
