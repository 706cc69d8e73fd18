"""`python -m rag_lab.compare` on real runs: the four of the sweep."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import Done, run

pytestmark = pytest.mark.network  # the default data

COMPARE = ("-m", "rag_lab.compare")


@pytest.fixture(scope="module")
def runs(sweep: Done) -> dict[tuple[str, int], Path]:
    """The folders of the sweep's runs, by policy and seed."""
    found = {}
    for path in sweep.cwd.glob("runs/week2/*/*/summary.json"):
        command = json.loads(path.read_text(encoding="utf-8"))["command"]
        policy, seed = re.findall(r"policy=(\w+) .*seed=(\d)", command)[0]
        found[policy, int(seed)] = path.parent
    return found


def test_two_runs_differ_as_their_variants_do_within_one(sweep: Done, runs: dict[tuple[str, int], Path]) -> None:
    """thompson's run compares it with static itself; the same from two runs, less the chance of seeds."""
    done = run(str(runs["static", 0]), str(runs["thompson", 0]), "--json", cwd=sweep.cwd, program=COMPARE)
    assert (done.status, done.stderr) == (0, ""), done.stderr
    found = json.loads(done.stdout)
    within = {
        (row["metric"], row["domain"]): row
        for row in json.loads((runs["thompson", 0] / "summary.json").read_text(encoding="utf-8"))["comparisons"]
        if row["baseline"] == "static" and row["family"].startswith("exploratory")
    }
    assert {(row["metric"], row["domain"]) for row in found["comparisons"]} == set(within)
    for row in found["comparisons"]:
        own = within[row["metric"], row["domain"]]
        assert row["difference"] == pytest.approx(own["difference"], abs=1e-6)
        assert row["n"] == own["n"] and (row["treatment"], row["baseline"]) == ("thompson", "static")
        assert row["ci_low"] <= row["difference"] <= row["ci_high"]
        width, whole = (one["ci_high"] - one["ci_low"] for one in (row, own))
        assert width <= 1.1 * whole  # which resamples seeds as well; a tenth for the draws
    assert found["clusters"] <= found["queries"]
    assert not any("cluster" in note for note in found["notes"])
    assert any("means over seeds" in note for note in found["notes"])


def test_runs_that_tested_other_queries_are_compared_on_what_they_share(
    sweep: Done, runs: dict[tuple[str, int], Path]
) -> None:
    """Another seed draws another test split."""
    pair = (str(runs["static", 0]), str(runs["static", 1]))
    done = run(*pair, cwd=sweep.cwd, program=COMPARE)
    assert done.status == 2 and done.stdout == ""
    assert re.fullmatch(r"python -m rag_lab\.compare: [^\n]+ give --intersect [^\n]+\n", done.stderr)
    done = run(*pair, "--intersect", "--json", cwd=sweep.cwd, program=COMPARE)
    assert done.status == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["difference"] for row in found["comparisons"]} == {0.0}  # α = 0.5 whatever the seed
    assert any(f"{found['queries']} queries are compared" in note for note in found["notes"])
