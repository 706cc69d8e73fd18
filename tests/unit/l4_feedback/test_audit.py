"""A report on a log of real feedback."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feedback_batches import NOW, SETTINGS

from rag_lab.errors import DataError
from rag_lab.l4_feedback import log
from rag_lab.l4_feedback.audit import audit
from rag_lab.l4_feedback.feedback import Reason
from rag_lab.l4_feedback.filters.scalar import Scalar


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    default = {"domain": "finance", "time_s": NOW, "dwell_s": 60, "position": 10}
    path.write_text("".join(json.dumps(default | row) + "\n" for row in rows), encoding="utf-8")
    return path


def agreeing(answers: int = 12) -> list[dict[str, Any]]:
    """Three who agree on good and bad answers, and one who says the opposite."""
    return [
        {"user": name, "query": query, "rating": float((query + (name == "liar")) % 2)}
        for query in range(answers)
        for name in ("ann", "bob", "cat", "liar")
    ]


@pytest.fixture
def rows() -> list[dict[str, Any]]:
    return [
        *agreeing(),
        {"user": "ann", "query": 0, "rating": 0.5},  # said twice
        {"user": "bot", "query": 1, "rating": math.nan, "domain": None},
        {"user": "new", "query": "q", "rating": 0.5, "domain": "health", "time_s": NOW + 60},
    ]


def test_a_report_by_hand(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = audit(written(tmp_path / "feedback.jsonl", rows), SETTINGS)
    assert (found.items, found.kept, found.now) == (51, 37, NOW + 60)
    assert found.kept_share == 37 / 51
    assert found.reasons == {
        "kept": 37, "invalid": 1, "duplicate": 1, "outlier_sigma": 0, "outlier_robust": 0, "low_confidence": 12,
    }  # fmt: skip
    assert found.domains == {"finance": (49, 36), "health": (1, 1), "unknown": (1, 0)}
    assert [(user.name, user.items, user.kept) for user in found.users] == [
        ("liar", 12, 0), ("new", 1, 1), ("ann", 13, 12), ("bob", 12, 12), ("cat", 12, 12), ("bot", 1, 0),
    ]  # fmt: skip
    known = [user.reliability for user in found.users]
    assert known[0] == 0 and known[-1] is None
    assert known[1] is not None and known[2] is not None and 0.3 < known[1] < known[2] == known[3] == known[4]


def test_it_says_what_a_filter_says(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    path = written(tmp_path / "feedback.jsonl", rows)
    found, expected = audit(path, SETTINGS, now=NOW + 100), Scalar(SETTINGS).weigh(log.read(path).batch, NOW + 100)
    assert list(found.reasons.values()) == np.bincount(expected.reason, minlength=len(Reason)).tolist()
    assert found.weight == pytest.approx(expected.weight[expected.keep].mean())
    assert found.now == NOW + 100


def test_domains_asked_for(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = audit(written(tmp_path / "feedback.jsonl", rows), SETTINGS, ["health", "sport"])
    assert found.domains == {"health": (1, 1), "unknown": (50, 36)}


def test_an_empty_log_and_one_without_times(tmp_path: Path) -> None:
    empty = audit(written(tmp_path / "empty.jsonl", []), SETTINGS)
    assert (empty.items, empty.kept_share, empty.weight, empty.users) == (0, None, None, [])
    timeless = audit(
        written(tmp_path / "timeless.jsonl", [{"user": 1, "query": 1, "rating": 1, "time_s": math.inf}]), SETTINGS
    )
    assert timeless.reasons["invalid"] == 1 and timeless.users[0].reliability is None


def test_the_document_is_json(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    found = json.loads(json.dumps(audit(written(tmp_path / "feedback.jsonl", rows), SETTINGS).document()))
    assert found["kept_share"] == 37 / 51 and found["domains"]["health"] == {"items": 1, "kept": 1}
    assert found["users"][0] == {"name": "liar", "items": 12, "kept": 0, "reliability": 0.0}


def test_a_bad_file_is_one_line(tmp_path: Path) -> None:
    path = written(tmp_path / "feedback.jsonl", [{"user": 1, "query": 1, "rating": "good"}])
    with pytest.raises(DataError) as caught:
        audit(path, SETTINGS)
    assert str(caught.value) == f"{path}:1: \"rating\" is 'good'; give a number"


def test_more_domains_than_there_may_be(tmp_path: Path) -> None:
    rows = [{"user": 1, "query": number, "rating": 1, "domain": f"d{number}"} for number in range(257)]
    path = written(tmp_path / "feedback.jsonl", rows)
    with pytest.raises(DataError) as caught:
        audit(path, SETTINGS)
    assert str(caught.value) == f"{path}: names 257 domains; at most 256"
