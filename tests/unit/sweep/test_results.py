"""What a sweep leaves: the best or the front, every trial in a table, a page that opens offline; the way back."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from rich.console import Console

from rag_lab.errors import DataError
from rag_lab.sweep import best, results, space
from rag_lab.sweep.settings import Direction, Objective

SPACE = space.read({"policy.x": "interval(0,1)", "policy": "choice(a,b)"}, ["+experiment=week2", "seed=1"], None)
ONE = (Objective("maximize", "train/score"),)
TWO = (*ONE, Objective("minimize", "cost/usd"))
# Of two objectives the first three trials are on the front: the fourth is beaten by the second.
VALUES = [(0.1, 1.0), (0.5, 2.0), (0.9, 3.0), (0.4, 2.5)]
MANY = [*VALUES, *((0.05 * n, 5.0 + n) for n in range(6))]


def study_of(objectives: tuple[Objective, ...], values: list[tuple[float, ...]] = VALUES) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name="week2-abc",
        directions=[one.direction for one in objectives],
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    for value in values:
        trial = study.ask(SPACE.distributions)
        trial.set_user_attr(results.RUN, f"runs/week2/stamp/{trial.number}")
        study.tell(trial, list(value[: len(objectives)]))
    lost = study.ask(SPACE.distributions)
    lost.set_user_attr(results.ERROR, "policy.x: given 2, allowed is 1 or less")
    study.tell(lost, state=optuna.trial.TrialState.FAIL)
    return study


def told(folder: Path, objectives: tuple[Objective, ...], **changes: Any) -> results.Told:
    study = study_of(objectives, **changes)
    return results.Told(study, "sqlite:///runs/sweeps.db", objectives, SPACE, folder)


def test_the_best_is_written_with_all_that_finds_it_again(tmp_path: Path) -> None:
    found = told(tmp_path, ONE)
    results.write(found)
    content = yaml.safe_load((tmp_path / "best.yaml").read_text(encoding="utf-8"))
    (trial,) = content["trials"]
    params = found.study.best_params
    assert content["study"] == "week2-abc" and content["objectives"] == ["maximize train/score"]
    assert content["counts"] == "4 complete, 1 failed" and "caution" not in content
    assert (trial["trial"], trial["values"], trial["run"]) == (2, {"train/score": 0.9}, "runs/week2/stamp/2")
    assert trial["overrides"] == [f"policy.x={params['policy.x']!r}", f"policy={params['policy']}"]
    assert trial["command"] == " ".join(["python -m rag_lab +experiment=week2 seed=1", *trial["overrides"]])
    assert {path.name for path in tmp_path.iterdir()} == {"best.yaml", "trials.csv", "study.html"}


def test_of_several_objectives_the_front_is_written(tmp_path: Path) -> None:
    results.write(told(tmp_path, TWO))
    content = yaml.safe_load((tmp_path / "pareto.yaml").read_text(encoding="utf-8"))
    assert [trial["trial"] for trial in content["trials"]] == [0, 1, 2]
    assert content["trials"][1]["values"] == {"train/score": 0.5, "cost/usd": 2.0}
    assert content["caution"].startswith("cost/usd: of the test queries")
    assert not (tmp_path / "best.yaml").exists()


def test_a_study_without_a_complete_trial_has_no_best(tmp_path: Path) -> None:
    found = told(tmp_path, ONE, values=[])
    results.write(found)
    assert {path.name for path in tmp_path.iterdir()} == {"trials.csv", "study.html"}
    assert "No trial is complete" in (tmp_path / "study.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("objectives", [ONE, TWO])
def test_every_trial_is_in_the_table(tmp_path: Path, objectives: tuple[Objective, ...]) -> None:
    found = told(tmp_path, objectives)
    results.write(found)
    with (tmp_path / "trials.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3", "4"]
    assert [row["state"] for row in rows] == ["complete"] * 4 + ["fail"]
    assert [float(row["train/score"]) for row in rows[:4]] == [value[0] for value in VALUES]
    assert rows[4]["train/score"] == "" and rows[4]["error"] == "policy.x: given 2, allowed is 1 or less"
    for row, trial in zip(rows, found.study.trials, strict=True):
        assert (float(row["policy.x"]), row["policy"]) == (trial.params["policy.x"], trial.params["policy"])
        assert row["run"] == trial.user_attrs.get("run", "")


def figures(page: str) -> list[list[dict[str, Any]]]:
    """The traces of every figure of a page."""
    decoder = json.JSONDecoder()
    starts = [match.end() for match in re.finditer(r'Plotly\.newPlot\(\s*"[^"]+",\s*', page)]
    return [decoder.raw_decode(page[start:])[0] for start in starts]


def test_the_page_opens_offline_and_draws_what_the_study_says(tmp_path: Path) -> None:
    found = told(tmp_path, TWO, values=MANY)
    results.write(found)
    page = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert not re.search(r"<script[^>]+src|<link[^>]+href=.http", page)
    heads = re.findall("<h2>(.*?)</h2>", page)
    assert heads == [
        "Pareto front",
        *("What mattered for train/score", "train/score by setting", "train/score by trial"),
        *("What mattered for cost/usd", "cost/usd by setting", "cost/usd by trial"),
    ]
    drawn = dict(zip(heads, figures(page), strict=True))
    beaten, front = (list(zip(one["x"], one["y"], strict=True)) for one in drawn["Pareto front"])
    assert front == MANY[:3] and beaten == MANY[3:]
    each = drawn["cost/usd by trial"][0]
    assert each["y"] == [cost for _, cost in MANY]
    assert [sorted(trace["y"]) for trace in drawn["train/score by setting"]] == [sorted(score for score, _ in MANY)] * 2


def test_with_one_objective_the_best_so_far_is_drawn(tmp_path: Path) -> None:
    results.write(told(tmp_path, ONE))
    *_, by_trial = figures((tmp_path / "study.html").read_text(encoding="utf-8"))
    each, so_far = (trace["y"][: len(VALUES)] for trace in by_trial[:2])
    assert each == [0.1, 0.5, 0.9, 0.4] and so_far == [0.1, 0.5, 0.9, 0.9]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_mattered_is_what_makes_values_good(tmp_path: Path, direction: Direction) -> None:
    """As Optuna says it of the study itself, which knows its direction."""
    found = told(tmp_path, (Objective(direction, "train/score"),), values=MANY)
    results.write(found)
    (bars,) = figures((tmp_path / "study.html").read_text(encoding="utf-8"))[0]
    shares = dict(zip(bars["y"], bars["x"], strict=True))
    assert shares == pytest.approx(optuna.importance.get_param_importances(found.study))
    assert sum(shares.values()) == pytest.approx(1) and set(shares) == {"policy", "policy.x"}


def test_few_trials_say_nothing_of_what_mattered(tmp_path: Path) -> None:
    results.write(told(tmp_path, ONE, values=MANY[:9]))
    page = (tmp_path / "study.html").read_text(encoding="utf-8")
    assert re.findall("<h2>(.*?)</h2>", page) == ["train/score by setting", "train/score by trial"]


@pytest.mark.parametrize(
    ("objectives", "says"),
    [
        (ONE, ["best: trial 2, train/score 0.9", "@runs/sweep/best.yaml"]),
        (TWO, ["trial 0, train/score 0.1, cost/usd 1", "caution: cost/usd", "@runs/sweep/pareto.yaml:<trial>"]),
    ],
)
def test_the_best_is_printed_with_the_way_to_take_it(
    objectives: tuple[Objective, ...], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    results.show(told(Path("runs/sweep"), objectives), Console(width=60))
    printed = capsys.readouterr().out
    assert all(one in printed for one in says), printed
    assert "study week2-abc: 4 complete, 1 failed" in printed


# The way back


def test_what_was_best_stands_for_its_overrides(tmp_path: Path) -> None:
    found = told(tmp_path, ONE)
    results.write(found)
    (trial,) = found.best
    arguments = ["+experiment=week2", f"@{tmp_path / 'best.yaml'}", "policy.x=3"]
    assert best.expand(arguments) == ["+experiment=week2", *SPACE.chosen(trial.params), "policy.x=3"]
    assert best.expand(["a=b", "c"]) == ["a=b", "c"]


def test_of_a_front_one_is_named(tmp_path: Path) -> None:
    found = told(tmp_path, TWO)
    results.write(found)
    assert best.expand([f"@{found.file}:1"]) == SPACE.chosen(found.study.trials[1].params)
    with pytest.raises(DataError, match=r"holds several trials; name one of them, as in @.*pareto\.yaml:0"):
        best.expand([f"@{found.file}"])
    with pytest.raises(DataError, match="has no trial 3; allowed: 0, 1, 2"):
        best.expand([f"@{found.file}:3"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file or directory; give @<best.yaml of a sweep>"),
        ("a: [", "is not YAML"),
        ("a: 1", "no sweep wrote this"),
        ("trials: []", "no sweep wrote this"),
        ("trials: [{trial: 1}]", "no sweep wrote this"),
        ("- 1", "no sweep wrote this"),
    ],
)
def test_a_file_that_no_sweep_wrote_is_refused(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "best.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=says) as raised:
        best.expand([f"@{path}"])
    assert str(path) in str(raised.value) and "\n" not in str(raised.value)
