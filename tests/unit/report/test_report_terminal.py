from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from unit.report.example_run import summary, write_run

from rag_lab.report import terminal
from rag_lab.report.run import RECALL, Run, load


def shown(run: Run, width: int = 100, **options: Any) -> str:
    stream = io.StringIO()
    terminal.show(run, Console(file=stream, width=width, **options))
    return stream.getvalue()


def row_of(variant: str, text: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if variant in line.split())


def test_the_numbers_are_those_of_the_summary(example: Run) -> None:
    text = shown(example)
    for variant, metrics in summary()["variants"].items():
        if variant.endswith("_true_domain"):
            continue
        cells = row_of(variant, text)[-7:]
        expected = [metrics[f"{domain}/{RECALL}"] for domain in ("healthcare", "finance", "general")]
        expected.append(metrics[RECALL])
        assert cells[:4] == [f"{value:.3f}" for value in expected]
        assert cells[4] == f"{metrics[RECALL + '_ci_low']:.3f}–{metrics[RECALL + '_ci_high']:.3f}"
        assert cells[5] == f"{metrics['retrieval/ndcg_at_10']:.3f}"
        assert cells[6] == f"{metrics['cost/usd_per_1k_queries']:.4f}"


@pytest.mark.parametrize("width", [100, 80, 200])
def test_no_line_is_wider_than_the_terminal_or_a_hundred_columns(example: Run, width: int) -> None:
    lines = shown(example, width).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= min(width, 100)
    for variant in example.variants:
        assert any(variant in line.split() for line in lines) != variant.endswith("_true_domain")


def test_the_treatment_comes_first_and_the_ceilings_last_and_both_are_marked(example: Run) -> None:
    lines = shown(example).splitlines()
    assert [line.split()[1] for line in lines if line.strip().startswith("▸ thompson")] == ["thompson"]
    rows = [line.split()[-8] for line in lines if "–" in line and line.split()[-3].count("–") == 1]
    assert rows[0] == "thompson"
    assert rows[-2:] == ["oracle_query", "oracle_domain"]
    assert [line.split()[0] for line in lines if "oracle_" in line] == ["^", "^"]


def test_comparisons_and_targets_are_worded(example: Run) -> None:
    text = shown(example, 200)
    told = " ".join(text.split())
    assert "Primary comparisons declared before the run" in told
    assert told.count("thompson vs static_domain_tuned") == 3
    assert "missed w2.recall recall@10, adaptive α/β: +12% over balanced static: 0.034 [0.012, 0.057]" in told
    assert "met w2.pareto_waste" in told
    assert "inconclusive w2.beats_static" in told
    assert "3 targets not measured in this run" in told
    assert "packaged 3fa9c17b60d2 · 6,030 passages · 650 train and 599 test queries" in told


def test_colour_is_for_terminals_only(example: Run) -> None:
    assert "\x1b[" not in shown(example)
    assert "\x1b[" in shown(example, force_terminal=True, color_system="standard")


def test_a_missing_metric_reads_not_measured_and_never_zero(tmp_path: Path) -> None:
    document = summary()
    for metric in (f"finance/{RECALL}", "retrieval/ndcg_at_10", "cost/usd_per_1k_queries"):
        del document["variants"]["static_tuned"][metric]
    text = shown(load(write_run(tmp_path / "run", document)))
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == ["static_tuned"])
    told = f"{lines[at]} {lines[at + 1]}"
    assert told.count("not") == told.count("measured") == 3
    assert "0.000" not in told and " 0 " not in told


def test_many_domains_get_tables_of_their_own(tmp_path: Path) -> None:
    document, names = summary(), [f"domain_number_{i}" for i in range(9)]
    sizes = document["data"]["domains"]["finance"]
    document["data"]["domains"] = dict.fromkeys(names, sizes)
    for metrics in document["variants"].values():
        metrics |= {f"{name}/{RECALL}": i / 10 for i, name in enumerate(names)}
    text = shown(load(write_run(tmp_path / "run", document, {"treatment": "thompson"})))
    assert all(name in text for name in names)
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 100
    last = [line for line in text.splitlines() if line.startswith("▸ thompson")][-1]
    assert last.split()[-1] == "0.800"


def test_a_failed_run_says_so(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"variants": {}, "comparisons": [], "targets": [], "metrics": {}}
    document = summary() | nothing | {"status": "failed", "failure": "out of memory"}
    text = shown(load(write_run(tmp_path / "run", document, {})))
    assert "failed in 42 s" in text
    assert "The run failed: out of memory." in text
