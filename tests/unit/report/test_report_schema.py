from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from unit.report.example_run import summary

import rag_lab

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text())


def valid(document: dict[str, Any]) -> bool:
    return bool(Draft202012Validator(SCHEMA).is_valid(document))


def test_it_is_a_schema_and_accepts_a_whole_summary() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert valid(summary())


def change(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def apply(document: dict[str, Any]) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = to

    return apply


def test_a_failed_run_may_have_found_nothing() -> None:
    document = summary() | {"status": "failed", "failure": "interrupted", "metrics": {}, "variants": {}}
    assert valid(document | {"comparisons": [], "targets": []})


@pytest.mark.parametrize(
    "accepted",
    [
        change("comparisons", 0, "relative", to=None),
        change("git", to={"sha": None, "dirty": None}),
        change("targets", 0, "ci_low", to=None),
        change("metrics", "system/gpu_0_utilization-percentage.max", to=1),
    ],
)
def test_what_may_be_absent_may_be_null(accepted: Callable[[dict[str, Any]], None]) -> None:
    document = summary()
    accepted(document)
    assert valid(document)


@pytest.mark.parametrize(
    "wrong",
    [
        change("surprise", to=1),
        change("status", to="done"),
        change("failure", to="a finished run has none"),
        change("data", "fingerprint", to="3fa9"),
        change("data", "domains", "finance", "passages", to=-1),
        change("data", "domains", "finance", "size", to=1),
        change("git", "sha", to="HEAD"),
        change("started_at", to="yesterday"),
        change("versions", "jax", to=None),
        change("metrics", "retrieval/recall at 10", to=0.5),
        change("metrics", "retrieval/recall_at_10", to=None),
        change("variants", "thompson", "retrieval/recall_at_10", to="0.5"),
        change("comparisons", 0, "ci_low", to=None),
        change("comparisons", 0, "p_value", to=1.1),
        change("comparisons", 0, "n", to=0),
        change("comparisons", 0, "verdict", to="better"),
        change("targets", 0, "verdict", to="nearly"),
        change("targets", 0, "value", to=None),
        change("targets", -1, "value", to=0),
        change("targets", -1, "why", to=""),
        change("targets", 0, "id", to="recall"),
        change("notes", to="one note"),
    ],
)
def test_wrong_documents_are_refused(wrong: Callable[[dict[str, Any]], None]) -> None:
    document = summary()
    wrong(document)
    assert not valid(document)


@pytest.mark.parametrize("key", sorted(SCHEMA["required"]))
def test_every_required_key_is_required(key: str) -> None:
    document = summary()
    del document[key]
    assert not valid(document)
