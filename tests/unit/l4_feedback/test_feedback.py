"""Feedback read from files, and the settings' derived numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from feedback_batches import NOW, SETTINGS

from rag_lab.errors import DataError
from rag_lab.l4_feedback import log
from rag_lab.l4_feedback.feedback import SCALE, Reason, Settings
from rag_lab.l4_feedback.filters.vectorized import Vectorized

DOMAINS = ("healthcare", "finance")
ROWS: list[dict[str, Any]] = [
    {"user": "u7", "query": "q1", "domain": "finance", "rating": 0.8, "time_s": 1.5, "dwell_s": 12, "position": 3},
    {"user": 7, "query": "q2", "domain": None, "rating": 1, "time_s": 2, "dwell_s": 0.5, "position": 1},
    {"user": "u7", "query": "q1", "domain": "sport", "rating": 0, "time_s": 3, "dwell_s": 9.0, "position": 10},
]


def lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def same_kind(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Parquet wants them: every column of one type."""
    return [row | {"user": str(row["user"]), "rating": float(row["rating"])} for row in rows]


def test_json_lines(tmp_path: Path) -> None:
    found = log.read(lines(tmp_path / "feedback.jsonl", ROWS), DOMAINS)
    assert (found.users, found.queries) == (("u7", 7), ("q1", "q2"))
    assert found.batch.user.tolist() == [0, 1, 0] and found.batch.query.tolist() == [0, 1, 0]
    assert found.batch.domain.tolist() == [1, -1, -1]
    assert found.batch.rating.tolist() == [np.float32(0.8), 1, 0]
    assert found.batch.time_s.tolist() == [1.5, 2, 3] and found.batch.position.tolist() == [3, 1, 10]
    kinds = [column.dtype for column in found.batch]
    assert kinds == [np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32]


def test_parquet_says_the_same(tmp_path: Path) -> None:
    rows = same_kind(ROWS)
    one = log.read(lines(tmp_path / "feedback.jsonl", rows), DOMAINS)
    other = log.read(table(tmp_path / "feedback.parquet", rows), DOMAINS)
    assert one.users == other.users
    for mine, theirs in zip(one.batch, other.batch, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("write", [lines, table])
def test_other_columns_do_not_matter(tmp_path: Path, write: Any) -> None:
    path = tmp_path / f"feedback.{'jsonl' if write is lines else 'parquet'}"
    assert len(log.read(write(path, [row | {"note": "x"} for row in same_kind(ROWS)]), DOMAINS).users) == 2


def test_an_empty_file_holds_no_items(tmp_path: Path) -> None:
    found = log.read(lines(tmp_path / "feedback.jsonl", []), DOMAINS)
    assert [len(column) for column in found.batch] == [0] * 7


def test_times_keep_their_microseconds(tmp_path: Path) -> None:
    """Float32 would move a time of today by a minute."""
    rows = [ROWS[0] | {"time_s": NOW + 1e-6 * number} for number in range(3)]
    found = log.read(lines(tmp_path / "feedback.jsonl", rows), DOMAINS)
    assert len(np.unique(found.batch.time_s)) == 3


def test_unsound_numbers_are_left_to_the_filter(tmp_path: Path) -> None:
    wrong = [{"rating": math.nan}, {"rating": -3}, {"rating": 1e300}, {"dwell_s": 1e300}, {"time_s": math.inf}]
    rows = [ROWS[0] | {"time_s": NOW, "user": number} | row for number, row in enumerate([*wrong, {"position": -5}])]
    found = log.read(lines(tmp_path / "feedback.jsonl", rows), DOMAINS)
    assert (Vectorized(SETTINGS).weigh(found.batch, NOW).reason == Reason.INVALID).all()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"user": None}, '"user" is None; give a string or an integer'),
        ({"user": True}, '"user" is True; give a string or an integer'),
        ({"query": 1.5}, '"query" is 1.5; give a string or an integer'),
        ({"domain": 3}, '"domain" is 3; give a domain\'s name, or null where it is unknown'),
        ({"rating": "good"}, "\"rating\" is 'good'; give a number"),
        ({"rating": None}, '"rating" is None; give a number'),
        ({"time_s": "2026-01-01"}, "\"time_s\" is '2026-01-01'; give a number"),
        ({"dwell_s": 10**400}, '"dwell_s" is a number too long to be read'),
        ({"position": 1.0}, '"position" is 1.0; give the rank, an integer from 1 on'),
        ({"position": 2**40}, '"position" is 1099511627776; give the rank, an integer from 1 on'),
    ],
)
def test_a_wrong_row_is_named_by_its_line(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = lines(tmp_path / "feedback.jsonl", [ROWS[0], ROWS[1] | change])
    with pytest.raises(DataError) as caught:
        log.read(path, DOMAINS)
    assert str(caught.value) == f"{path}:2: {problem}"


def test_a_missing_column(tmp_path: Path) -> None:
    row = {name: value for name, value in ROWS[0].items() if name != "dwell_s"}
    for path in (lines(tmp_path / "feedback.jsonl", [row]), table(tmp_path / "feedback.parquet", [row])):
        with pytest.raises(DataError) as caught:
            log.read(path, DOMAINS)
        assert str(caught.value).startswith(f'{path}:1: no "dwell_s"; an item is like {{"user": "u7", ')


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{\n", "not JSON: Expecting property name"),
        (b"[1]\n", "not a JSON object; an item is like"),
        (b"\n", "not a JSON object; an item is like"),
        (b'{"user": "\xff"}\n', "not UTF-8: byte 0xff"),
        (b"[" * 100_000 + b"\n", "not JSON that can be read"),
    ],
)
def test_what_is_no_json(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_bytes((json.dumps(ROWS[0]) + "\n").encode() + content)
    with pytest.raises(DataError) as caught:
        log.read(path, DOMAINS)
    assert str(caught.value).startswith(f"{path}:2: {problem}")


def test_what_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "feedback.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"feedback\.parquet: is not a Parquet file: "):
        log.read(path, DOMAINS)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("absent.jsonl", "cannot be read: No such file"),
        ("absent.parquet", "cannot be read: "),
        ("x.csv", "is neither "),
    ],
)
def test_what_is_not_there(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(DataError, match=rf"{name}: {problem}"):
        log.read(tmp_path / name, DOMAINS)


def test_derived_settings() -> None:
    """A half-life of a day is ln 2 a day; 0.25 · 1,024 is 256 exactly, and 0.3 · 1,024 needs 308."""
    given: Settings = SETTINGS._replace(half_life_days=1.0, min_trust=0.25, prior_reliability=0.7)
    assert given.rate * 86_400 == pytest.approx(math.log(2))
    assert (given.trusted, given._replace(min_trust=0.3).trusted, given.prior) == (256, 308, 717)
    assert 308 / SCALE >= 0.3 > 307 / SCALE
