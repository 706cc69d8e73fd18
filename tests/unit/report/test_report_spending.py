from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from unit.report.example_run import summary, write_run

from rag_lab.report import actions, page, spending
from rag_lab.report.run import Run, load

DRAWN: dict[str, Any] = {
    "labels": ["small", "large"],
    "tiers": ["small", "large"],
    "objectives": [[0.1, 0.4, 0.2], [1.6, 0.7, 0.2]],
    "front": [True, True],
    "steps": [{"label": "100% cost", "share": [1.0, 0.0]}, {"label": "as configured", "share": [0.5, 0.5]}],
    "start": 1,
    "hulls": {
        "router": [
            {"name": "100% cost", "cost": 0.1, "quality": 0.4},
            {"name": "treatment", "cost": 0.5, "quality": 0.7},
        ],
        "singles": [{"name": "small", "cost": 0.1, "quality": 0.4}],
    },
}


def variant(cost: float, quality: float) -> dict[str, float]:
    ends = {"": 0, "_ci_low": -1, "_ci_high": 1}
    return {f"{spending.COST}{end}": cost + side * 0.05 for end, side in ends.items()} | {
        f"{spending.QUALITY}{end}": quality + side * 0.1 for end, side in ends.items()
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of the economy."""
    document = summary() | {"variants": {"pareto": variant(0.5, 0.7), "best_single": variant(1.6, 0.7)}}
    document["comparisons"] = []
    return load(write_run(tmp_path_factory.mktemp("economy") / "run", document, {"economy": DRAWN}))


def test_every_router_stands_at_its_means_with_both_intervals(ran: Run) -> None:
    picture = spending.plane(ran)
    assert picture is not None
    (one,) = [trace for trace in picture.figure.data if trace.name == "pareto"]
    assert (one.x[0], one.y[0]) == (0.5, 0.7)
    assert one.error_x.array[0] == pytest.approx(0.05) and one.error_y.arrayminus[0] == pytest.approx(0.1)


def test_lines_run_straight_between_the_corners(ran: Run) -> None:
    picture = spending.plane(ran)
    assert picture is not None
    (line,) = [trace for trace in picture.figure.data if trace.name == "the router, over preferences"]
    np.testing.assert_allclose(line.y, np.interp(line.x, [0.1, 0.5], [0.4, 0.7]))
    assert {0.1, 0.2, 0.5, 1.0, 2.0} <= {round(tick, 9) for tick in picture.figure.layout.xaxis.tickvals}
    (dot,) = [trace for trace in picture.figure.data if trace.name == "single actions"]
    assert (list(dot.x), list(dot.y)) == ([0.1], [0.4])


def test_the_table_tells_the_treatment_and_what_is_not_measured(ran: Run) -> None:
    table = spending.sheet(replace(ran, curves=ran.curves | {"treatment": "pareto"}))
    assert table is not None
    first, second = table.rows
    assert first[:3] == ["▸ pareto", "0.5000 [0.4500, 0.5500]", "0.700 [0.600, 0.800]"]
    assert second[:2] == ["best_single", "1.60 [1.55, 1.65]"] and set(second[3:]) == {"not measured"}


def test_the_page_shows_both_figures_under_names_of_their_own(ran: Run) -> None:
    text = page.html(ran)
    figures = json.loads(text.partition('id="figures">')[2].partition("</script>")[0])
    assert {"actions", "cost-quality"} <= figures.keys()
    assert all(text.count(f'id="{name}"') == 1 for name in ("actions", "cost-quality", "spending"))


def test_other_runs_have_neither(example: Run, tmp_path: Path) -> None:
    assert spending.plane(example) is None and spending.sheet(example) is None and actions.chosen(example) is None
    assert 'id="spending"' not in page.html(replace(example, folder=tmp_path))
