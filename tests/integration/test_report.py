"""A run is adopted, and reports/ is written from it, in the working directory and nowhere else."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest
from command import Done, run, tree

pytestmark = pytest.mark.network
REPORT = ("-m", "rag_lab.report")


@pytest.fixture
def place(packaged: Done, here: Path) -> Path:
    """A working directory with one run in it."""
    shutil.copytree(packaged.folder, here / "runs" / "week2" / "one")
    (here / "runs" / "latest").symlink_to("week2/one")
    return here


def test_a_run_is_adopted_and_its_table_stands_in_reports(packaged: Done, place: Path) -> None:
    done = run("--adopt", "runs/latest", cwd=place, program=REPORT)
    assert done.status == 0 and done.stderr == ""
    kept = place / "runs" / "reference" / "week2" / "packaged"
    assert json.loads((kept / "summary.json").read_text(encoding="utf-8")) == packaged.summary
    original = (packaged.folder / "per_query.parquet").read_bytes()
    assert gzip.decompress((kept / "per_query.parquet.gz").read_bytes()) == original
    assert sum(path.stat().st_size for path in kept.iterdir()) < 5_000_000
    text = (place / "reports" / "week2.md").read_text(encoding="utf-8")
    assert packaged.summary["data"]["fingerprint"][:8] in text and "thompson" in text
    assert {path.name for path in place.iterdir()} == {"runs", "reports"}


def test_reports_are_written_again_from_what_was_adopted(place: Path) -> None:
    assert run("--adopt", "runs/latest", "--as", "mine", cwd=place, program=REPORT).status == 0
    before = (place / "reports" / "week2.md").read_bytes()
    assert b"mine" in before
    shutil.rmtree(place / "reports")
    shutil.rmtree(place / "runs" / "week2")
    assert run(cwd=place, program=REPORT).status == 0
    assert (place / "reports" / "week2.md").read_bytes() == before


def test_what_is_no_run_is_not_adopted(here: Path) -> None:
    done = run("--adopt", "nowhere", cwd=here, program=REPORT)
    assert done.status == 2 and done.stderr.count("\n") == 1 and "nowhere" in done.stderr
    assert tree(here) == set()
