"""The benchmark's runner: programs take turns, wrong ones have no time, failures stay in their cell."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import Bars
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.experiment import bench_similarity, benchmark
from rag_lab.experiment.bench_similarity import Corpus, best_scores, by_numpy, unit
from rag_lab.experiment.benchmark import Cell, Effort, measure
from rag_lab.l1_retrieval.selection import Nearest
from rag_lab.report import benchmark as report

QUICK = Effort(budget_s=0, rounds=3, turn_s=0, rest_s=0)
KEYS = {"case", "size", "ours_ms", "peers", "floors", "correct", "error"}  # the contract's


class Clock:
    """A clock that programs move: each takes the seconds that it is made with."""

    def __init__(self) -> None:
        self.now, self.called = 0.0, []

    def __call__(self) -> float:
        return self.now

    def program(self, name: str, *seconds: float, result: Any = 42) -> Callable[[], Any]:
        lasts = itertools.chain(seconds, itertools.repeat(seconds[-1]))

        def run() -> Any:
            self.called.append(name)
            self.now += next(lasts)
            return result

        return run


def cell(clock: Clock, **changes: Any) -> Cell:
    """Ours takes 2 s (the first time 10 s), the peer 6 s, the floor's programs 3 s and 1 s."""
    given = Cell(
        case="c1",
        size={"n": 1},
        ours=clock.program("ours", 10, 2),
        peers={"peer": clock.program("peer", 6)},
        floors={"matmul": (clock.program("slow", 3), clock.program("quick", 1)), "copy": 500.0},
        check=lambda result: None if result == 42 else f"{result} is not 42",
    )
    return given._replace(**changes)


def test_numbers_by_hand() -> None:
    clock = Clock()
    row = measure(cell(clock), QUICK, clock)
    assert row["ours_ms"] == 2000 and row["peers"] == {"peer": 6000}
    assert row["floors"] == {"matmul": 1000, "copy": 500}
    assert row["compile_ms"] == 8000
    assert row["speedups"] == {"peer": 3} and row["floor_shares"] == {"matmul": 0.5, "copy": 0.25}
    assert row["correct"] is True and row["error"] is None and row["left_out"] == {}
    assert row["rounds"] == 3 and row["samples"]["ours"] == 3


def test_programs_take_turns() -> None:
    clock = Clock()
    measure(cell(clock), QUICK, clock)
    warm_up = ["ours", "ours", "peer", "peer"]
    assert clock.called[:4] == warm_up
    first = [
        "ours",
        "ours",
        "peer",
        "peer",
        "slow",
        "slow",
        "quick",
        "quick",
    ]  # once unmeasured, as all were short
    rounds = clock.called[4 + len(first) :]
    assert clock.called[4 : 4 + len(first)] == first
    assert rounds == ["ours", "peer", "slow", "quick"] * 2


def test_short_programs_are_repeated_within_a_turn() -> None:
    clock = Clock()
    row = measure(cell(clock), QUICK._replace(turn_s=7, rounds=1), clock)
    assert row["samples"] == {"ours": 4, "peer": 2, "matmul 0": 3, "matmul 1": 7}


def test_measuring_goes_on_until_the_budget_is_spent() -> None:
    clock = Clock()
    assert measure(cell(clock), QUICK._replace(budget_s=100), clock)["rounds"] == 8


def test_the_median_is_of_all_calls_and_ratios_are_paired_by_round() -> None:
    """The machine slows down tenfold in the third round: that shifts times, but no ratio."""
    clock = Clock()
    ours = clock.program("ours", 9, 9, 9, 2, 3, 20)
    peer = clock.program("peer", 9, 9, 9, 4, 6, 40)
    row = measure(cell(clock, ours=ours, peers={"peer": peer}, floors={}), QUICK, clock)
    assert row["ours_ms"] == 3000 and row["peers"]["peer"] == 6000
    assert row["speedups"] == {"peer": 2}


def test_a_wrong_result_has_no_time() -> None:
    clock = Clock()
    row = measure(cell(clock, ours=clock.program("ours", 1, result=41)), QUICK, clock)
    assert row["correct"] is False and row["ours_ms"] is None and row["peers"] == {}
    assert row["error"] == "wrong result: 41 is not 42"
    assert clock.called == ["ours", "ours"]


def test_a_peer_that_is_wrong_is_left_out() -> None:
    clock = Clock()
    row = measure(cell(clock, peers={"peer": clock.program("peer", 1, result=41)}), QUICK, clock)
    assert row["correct"] is True and row["ours_ms"] == 2000 and row["peers"] == row["speedups"] == {}
    assert row["left_out"] == {"peer": "wrong result: 41 is not 42"}


def test_a_failure_is_told_in_one_line() -> None:
    def fail() -> None:
        raise ValueError("no room\nat all")

    row = measure(cell(Clock(), ours=fail), QUICK)
    assert row["correct"] is False and row["ours_ms"] is None
    assert row["error"] == "ValueError: no room at all"
    row = measure(cell(Clock(), floors={"matmul": (fail,)}), QUICK)
    assert row["correct"] is False and row["error"] == "ValueError: no room at all" and row["ours_ms"] is None
    row = measure(cell(Clock(), peers={"peer": fail}), QUICK)
    assert row["correct"] is True and row["left_out"] == {"peer": "ValueError: no room at all"}


def test_absent_peers_are_named() -> None:
    clock = Clock()
    row = measure(cell(clock, absent={"faiss": "not installed"}), QUICK, clock)
    assert row["left_out"] == {"faiss": "not installed"}


def test_real_time_is_milliseconds() -> None:
    row = measure(cell(Clock(), ours=lambda: time.sleep(0.01) or 42, peers={}, floors={}), QUICK)
    assert 10 <= row["ours_ms"] < 200


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.1, 9), min_size=4, max_size=4))
def test_no_program_is_favoured(seconds: list[float]) -> None:
    """Whoever is ours, a ratio is the ratio of the two times."""
    clock = Clock()
    one, other = clock.program("a", seconds[0]), clock.program("b", seconds[1])
    row = measure(cell(clock, ours=one, peers={"b": other}, floors={}), QUICK, clock)
    back = measure(cell(clock, ours=other, peers={"a": one}, floors={}), QUICK, clock)
    assert row["speedups"]["b"] * back["speedups"]["a"] == pytest.approx(1)


class Lab:
    """What the runner needs of a lab."""

    def __init__(self) -> None:
        self.progress, self.events, self.told = Bars(), self, []

    def emit(self, kind: str, **fields: Any) -> None:
        self.told.append((kind, fields["case"]))


def test_the_document_and_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clock, lab = Clock(), Lab()
    wrong = clock.program("ours", 1, result=41)
    cells = [cell(clock), cell(clock, case="c2", ours=wrong, absent={"faiss": "not installed"})]
    quick = QUICK._replace(rounds=1)
    document = benchmark.run(lab, "example", cells, quick, {"data": "none"})  # type: ignore[arg-type]
    assert lab.told == [("cell", "c1"), ("cell", "c2")]
    findings = benchmark.publish(document)
    (path,) = Path("reports/benchmarks").glob("example-*.json")
    written = json.loads(path.read_text(encoding="utf-8"))
    assert {"name", "device", "threads", "versions", "git", "started_at", "cells"} <= written.keys()
    assert all(row.keys() >= KEYS for row in written["cells"])
    assert written == findings.curves["benchmark"] and written["data"] == "none"
    assert findings.metrics["example/c1/ours_ms"] > 0 and not any("c2" in name for name in findings.metrics)
    assert any("c2" in note for note in findings.notes) and any("not installed" in note for note in findings.notes)
    text = path.with_suffix(".md").read_text(encoding="utf-8")
    assert "| c1 |" in text and "41 is not 42" in text and f"{path.stem}.svg" in text
    drawing = path.with_suffix(".svg").read_text(encoding="utf-8")
    assert drawing.startswith("<svg") and ">c1<" in drawing and ">c2<" not in drawing


@pytest.mark.parametrize(("value", "text"), [(None, ""), (0.0123, "0.0123"), (1.234, "1.23"), (56.78, "56.8"),
                                             (1234.5, "1,234"), (0.0, "0.00")])  # fmt: skip
def test_times_have_three_digits(value: float | None, text: str) -> None:
    assert report.milliseconds(value) == text


RANDOM = np.random.default_rng(0)
VECTORS, QUERIES = unit(RANDOM, 300, 16), unit(RANDOM, 5, 16)


def test_the_similarity_oracle_by_another_way() -> None:
    expected = np.sort(QUERIES.astype(float) @ VECTORS.T.astype(float), axis=1)[:, ::-1][:, :7]
    np.testing.assert_allclose(best_scores(VECTORS, QUERIES, 7), expected)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p, s: (p[:, :2], s[:, :2]), "shape"),
        (lambda p, s: (np.repeat(p[:, :1], 3, axis=1), np.repeat(s[:, :1], 3, axis=1)), "twice"),
        (lambda p, s: (p + 300, s), "does not exist"),
        (lambda p, s: (p[:, ::-1], s[:, ::-1]), "not best first"),
        (lambda p, s: (p, s + 1e-4), "not the passage's inner product"),
    ],
)
def test_what_the_similarity_check_refuses(change: Callable[..., Any], why: str) -> None:
    corpus = Corpus(VECTORS, QUERIES, 4)
    right = by_numpy(VECTORS, [QUERIES], 3)
    assert corpus.wrong(right, QUERIES, 3) is None
    assert why in (corpus.wrong(Nearest(*change(*right)), QUERIES, 3) or "")


def test_the_similarity_check_misses_no_passage() -> None:
    corpus, second = Corpus(VECTORS, QUERIES, 4), by_numpy(VECTORS, [QUERIES], 4)
    assert corpus.wrong(Nearest(second.passage[:, 1:], second.score[:, 1:]), QUERIES, 3) == "not the best passages"


def test_a_similarity_cell_is_right_by_every_program() -> None:
    found = Corpus(VECTORS, QUERIES, 4).cell(QUERIES, 4)
    row = measure(found, QUICK._replace(rounds=1))
    assert row["correct"] and set(row["peers"]) == {"faiss", "numpy"} - set(row["left_out"])
    assert set(row["floors"]) == {"read_once", "matmul"}


def test_the_similarity_benchmark_covers_every_combination() -> None:
    experiment = bench_similarity.build(
        name="bench_similarity", question="?", queries=(1, 2), passages=(30,), k=(3, 4), dimensions=8,
        budget_s=0.0, rounds=1, turn_s=0.0, rest_s=0.0,
    )  # fmt: skip
    assert not experiment.needs_data
    cases = [one.case for one in experiment._cells(0)]
    assert cases == ["q1_n30_k3", "q1_n30_k4", "q2_n30_k3", "q2_n30_k4"]
