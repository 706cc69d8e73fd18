from __future__ import annotations

import json
from pathlib import Path

import pytest
from unit.report.example_run import summary, write_run

from rag_lab.errors import DataError
from rag_lab.report.run import NDCG, RECALL, USD, Run, load


def test_the_order_is_treatment_then_references_by_recall_then_ceilings(example: Run) -> None:
    order = example.order
    assert order[0] == "thompson"
    assert set(order[-2:]) == {"oracle_domain", "oracle_query"}
    recalls = [example.variants[variant][RECALL] for variant in order[1:-2]]
    assert recalls == sorted(recalls, reverse=True)
    assert sorted(order) == sorted(example.variants)


def test_an_estimate_is_what_the_summary_says_and_none_where_it_says_nothing(example: Run) -> None:
    metrics = summary()["variants"]["static_tuned"]
    found = example.estimate("static_tuned", RECALL, "finance")
    assert found == tuple(metrics[f"finance/{RECALL}{end}"] for end in ("", "_ci_low", "_ci_high"))
    assert example.estimate("static_tuned", NDCG).value == metrics[NDCG]
    assert example.estimate("static_tuned", USD, "finance") == (None, None, None)


def test_the_configuration_gives_the_data_variant_and_nested_settings(example: Run) -> None:
    assert example.data_name == "packaged"
    assert example.setting("resamples") == 10000
    assert example.setting("nothing_of_the_kind") is None


def test_a_summary_alone_is_enough(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps(summary()))
    run = load(tmp_path)
    assert run.treatment == "thompson"
    assert run.domains == ("healthcare", "finance", "general")
    assert set(run.ceilings) == {"oracle_domain", "oracle_query"}
    assert run.card is None and run.curves == {}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("other.txt", "", "no run folder"),
        ("events.jsonl", "", "no summary.json yet"),
        ("summary.json", "{", "cannot be read"),
        ("summary.json", "[]", "no JSON object"),
        ("summary.json", '{"run_id": "x"}', "lacks experiment"),
        ("summary.json", json.dumps(summary() | {"duration_s": float("nan")}), "holds NaN"),
        ("summary.json", json.dumps(summary() | {"status": "running"}), "'running'"),
    ],
)
def test_what_is_no_finished_run_ends_in_one_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said) as caught:
        load(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.exit_status == 2


def test_a_broken_configuration_names_its_file(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    (folder / "resolved.yaml").write_text("a: [1\nb: }")
    with pytest.raises(DataError, match=r"resolved\.yaml: is not readable YAML") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
