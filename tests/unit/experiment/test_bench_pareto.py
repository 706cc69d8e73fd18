"""The benchmark of fronts: its cells, its own two ways to know what is right, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from rag_lab.experiment import bench_pareto
from rag_lab.experiment.bench_pareto import MOST_FOR_PYMOO, by_pairs, by_sweep, wrong
from rag_lab.experiment.benchmark import Effort, measure

QUICK = Effort(budget_s=0, rounds=1, turn_s=0, rest_s=0)


@pytest.mark.parametrize("grid", [False, True])
def test_both_oracles_say_the_same_and_it_is_right(grid: bool) -> None:
    points = np.random.default_rng(0).random((80, 3)).astype(np.float32)
    points = np.round(points * 3) if grid else points
    assert by_pairs(points).tolist() == by_sweep(points).tolist()
    assert by_pairs(np.array([[0, 1], [1, 0], [1, 1], [0, 1]])).tolist() == [True, True, False, True]


def test_a_single_wrong_point_is_told() -> None:
    expected = np.array([[True, False], [True, True]])
    assert wrong(expected, [np.array([True, False]), np.array([True, True])]) is None
    assert wrong(expected, [np.array([True, False]), np.array([False, True])]) == "1 of 4 points are judged otherwise"


def test_every_cell_is_right_by_every_program() -> None:
    experiment = bench_pareto.build(
        name="bench_pareto", question="?", batches=((5, 20),), fronts=(60,), budget_s=0.0, rounds=1, turn_s=0.0,
        rest_s=0.0,
    )  # fmt: skip
    assert not experiment.needs_data
    for cell, case in zip(experiment._cells(0), ("batch_5x20", "front_60"), strict=True):
        row = measure(cell, QUICK)
        assert row["case"] == case and row["correct"], row["error"]
        assert set(row["peers"]) | set(row["left_out"]) == {"moocore", "pymoo"}


def test_what_does_not_fit_is_left_out_and_said() -> None:
    pytest.importorskip("pymoo")
    chain = np.repeat(np.arange(MOST_FOR_PYMOO + 1, dtype=np.float32)[:, None], 3, axis=1)
    cell = bench_pareto.one(chain)
    assert "pymoo" not in cell.peers and "memory" in cell.absent["pymoo"]
