from __future__ import annotations

from typing import Any

import pytest

from rag_lab.report import wording
from rag_lab.report.run import Run

ROW: dict[str, Any] = {
    "family": "primary",
    "metric": "retrieval/recall_at_10",
    "treatment": "thompson",
    "baseline": "static_domain_tuned",
    "domain": "finance",
    "difference": -0.011,
    "relative": -0.02,
    "ci_low": -0.024,
    "ci_high": 0.003,
    "p_value": 0.1,
    "p_adjusted": 0.21,
    "n": 311,
    "minimum_detectable_effect": 0.02,
}


def test_a_comparison_is_one_sentence() -> None:
    assert wording.sentence(ROW) == (
        "thompson vs static_domain_tuned, finance: −0.011 recall@10 [−0.024, +0.003], p = .21 after Holm; "
        "not worse is not shown; detectable difference 0.020"
    )


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        ({}, "not worse is not shown"),
        ({"ci_low": -0.02}, "not worse is not shown"),
        ({"ci_low": -0.0199}, "not worse"),
        ({"difference": 0.03, "ci_low": 0.01, "ci_high": 0.05, "p_adjusted": 0.04}, "better"),
        ({"difference": 0.03, "ci_low": 0.01, "ci_high": 0.05, "p_adjusted": 0.05}, "not worse"),
        ({"ci_high": -0.001, "p_adjusted": 0.01}, "worse"),
        ({"ci_low": -0.015, "ci_high": -0.001, "p_adjusted": 0.01}, "worse, by less than 0.02"),
        ({"metric": "cost/usd_per_1k_queries", "p_adjusted": 0.01}, "better"),
        ({"metric": "cost/usd_per_1k_queries"}, "no difference is shown"),
    ],
)
def test_what_a_comparison_means(change: dict[str, Any], meaning: str) -> None:
    assert wording.meaning(ROW | change) == meaning


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0001, "p < .001"), (0.001, "p = .001"), (0.0494, "p = .049"), (0.21, "p = .21"), (1.0, "p > .99")],
)
def test_p_values(value: float, text: str) -> None:
    assert wording.p_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not measured"),
        (0, "0"),
        (0.0, "0"),
        (-0.0257, "−0.0257"),
        (0.18, "0.18"),
        (0.00423, "0.0042"),
        (0.000012, "1.2e−05"),
        (12.345, "12.3"),
        (143.0, "143"),
        (20123456.0, "20,123,456"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.21, "3.2 s"), (41.7, "42 s"), (252, "4 min 12 s"), (7500, "2 h 5 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_difference_that_rounds_to_zero_has_no_sign() -> None:
    assert [wording.signed(value) for value in (-0.0004, 0.0, -0.0006)] == ["0.000", "0.000", "−0.001"]


def test_nothing_measured_is_never_zero() -> None:
    assert wording.score(None) == wording.usd(None) == wording.number(None) == "not measured"
    assert wording.score(0.0) == "0.000"


def verdict(run: Run, *rows: dict[str, Any], **summary: Any) -> str:
    document = {**run.summary, "comparisons": list(rows), **summary}
    return wording.verdict(Run(run.folder, document, run.curves, run.config))


def test_the_verdict_is_computed_from_the_primary_family(example: Run) -> None:
    better = ROW | {
        "domain": "healthcare",
        "difference": 0.021,
        "ci_low": 0.01,
        "ci_high": 0.03,
        "p_adjusted": 0.003,
    }
    even = ROW | {"domain": "general", "difference": 0.001, "ci_low": -0.002, "ci_high": 0.004}
    assert verdict(example, ROW, better, even, ROW | {"family": "other", "domain": "mean"}) == (
        "Against static_domain_tuned, on recall@10 of the test queries, thompson is better in healthcare "
        "(+0.021), not worse in general (+0.001) and undecided in finance (−0.011)."
    )
    assert "is better in no domain and undecided in finance" in verdict(example, ROW)
    assert verdict(example) == "This run declares no primary comparison."
    assert verdict(example, ROW, status="failed", failure="out of memory") == "The run failed: out of memory."


def test_the_question_is_the_experiments_own_else_the_primary_familys(example: Run) -> None:
    assert wording.question(example) == "Does thompson beat static_domain_tuned on recall@10?"
    asked = Run(example.folder, example.summary, config={"experiment": {"question": "Does it pay?"}})
    assert wording.question(asked) == "Does it pay?"
