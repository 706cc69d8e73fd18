"""The same seed gives the same numbers, another seed other paths; what is kept is used again."""

from __future__ import annotations

from typing import Any

import pandas
import pyarrow.parquet as parquet
import pytest
import yaml
from command import Done

from rag_lab.tracking import jsonl

pytestmark = pytest.mark.network

OWN = {"run_id", "started_at", "duration_s", "command", "config_hash"}  # of a run, not of its numbers


def numbers(done: Done) -> dict[str, Any]:
    return {key: value for key, value in done.summary.items() if key not in OWN}


def table(done: Done, name: str) -> pandas.DataFrame:
    return parquet.read_table(done.folder / f"{name}.parquet").to_pandas()


def jobs(sweep: Done) -> dict[str, Done]:
    """The jobs of the sweep, by their swept values."""
    (parent,) = (path.parent for path in sweep.cwd.glob("runs/week2/*/multirun.yaml"))
    found = {}
    for folder in (path for path in parent.iterdir() if path.is_dir()):
        swept = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
        name = ",".join(one for one in swept if one.startswith(("policy=", "seed=")))
        found[name] = Done(0, f"run folder   {folder.relative_to(sweep.cwd)}", "", sweep.cwd)
    return found


def test_the_same_seed_gives_the_same_numbers(packaged: Done, again: Done) -> None:
    assert again.status == 0, again.stderr
    assert packaged.folder != again.folder and numbers(packaged) == numbers(again)
    for name in ("per_query", "decisions"):
        pandas.testing.assert_frame_equal(table(packaged, name), table(again, name), check_exact=True)
    names = {path.name for path in (packaged.folder / "rankings").iterdir()}
    for name in (
        *(f"rankings/{one}" for one in names),
        "qrels.tsv",
        "recommended.yaml",
        "curves.json",
        "data_card.md",
    ):
        assert (packaged.folder / name).read_bytes() == (again.folder / name).read_bytes(), name


def test_a_repeated_run_does_no_finished_work_again(packaged: Done, again: Done) -> None:
    """Vectors, baked arrays and studies are kept: the second run neither searches nor bakes."""
    first, second = (jsonl.read(done.folder / "events.jsonl") for done in (packaged, again))
    assert [event["kind"] for event in first].count("baked") == 3
    assert [event["kind"] for event in second].count("baked") == 0
    work = {str(event["what"]).split()[0] for event in second if event["kind"] == "progress"}
    assert not work & {"encode", "search", "download"}, work


def test_a_job_of_a_sweep_is_the_run_itself(packaged: Done, sweep: Done) -> None:
    same = jobs(sweep)["policy=thompson,seed=0"]
    assert numbers(same) == numbers(packaged)
    pandas.testing.assert_frame_equal(table(packaged, "decisions"), table(same, "decisions"), check_exact=True)


def test_another_seed_takes_other_paths_over_the_same_text(packaged: Done, sweep: Done) -> None:
    other = jobs(sweep)["policy=thompson,seed=1"]
    assert other.summary["data"]["fingerprint"] == packaged.summary["data"]["fingerprint"]
    assert other.summary["seed"] == 1
    ours, theirs = table(packaged, "decisions"), table(other, "decisions")
    assert (ours.action != theirs.action).mean() > 0.3
    first, second = (found[found.step == 1].query_id.tolist() for found in (ours, theirs))
    assert first != second


def test_seeds_of_one_run_take_different_paths(packaged: Done) -> None:
    rows = table(packaged, "decisions")
    paths = {tuple(own.action) for _, own in rows.groupby("seed")}
    streams = {tuple(own.query_id) for _, own in rows.groupby("seed")}
    assert len(paths) == len(streams) == 20
