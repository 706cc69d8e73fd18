from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import pytest
from unit.report.example_run import summary, write_run

from rag_lab.errors import ConfigError, DataError
from rag_lab.report.adopt import LIMIT_BYTES, adopt
from rag_lab.report.run import load

KEPT = {"summary.json", "curves.json", "resolved.yaml", "per_query.parquet.gz"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_an_adopted_run_is_kept_under_its_data_variant_and_reads_as_the_run(folder: Path, tmp_path: Path) -> None:
    kept = adopt(folder, None, tmp_path / "reference")
    assert kept == tmp_path / "reference" / "week2" / "packaged"
    assert set(contents(kept)) == KEPT
    assert gzip.decompress((kept / "per_query.parquet.gz").read_bytes()) == (folder / "per_query.parquet").read_bytes()
    run, original = load(kept), load(folder)
    assert (run.summary, run.curves, run.config) == (original.summary, original.curves, original.config)


def test_the_same_run_gives_the_same_bytes_and_leaves_nothing_else(folder: Path, tmp_path: Path) -> None:
    first = contents(adopt(folder, "a", tmp_path / "reference"))
    os.utime(folder / "per_query.parquet", (1, 1))
    assert contents(adopt(folder, "b", tmp_path / "reference")) == first
    assert sorted(path.name for path in (tmp_path / "reference" / "week2").iterdir()) == ["a", "b"]


def test_an_older_run_of_the_name_is_replaced_as_a_whole(folder: Path, tmp_path: Path) -> None:
    kept = adopt(folder, "name", tmp_path / "reference")
    (kept / "stale.json").write_text("{}")
    newer = write_run(tmp_path / "newer", summary() | {"seed": 7})
    assert adopt(newer, "name", tmp_path / "reference") == kept
    assert set(contents(kept)) == KEPT
    assert load(kept).summary["seed"] == 7


def test_a_link_to_a_run_is_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(folder)
    assert set(contents(adopt(tmp_path / "latest", None, tmp_path / "reference"))) == KEPT


def refused(folder: Path, reference: Path, name: str | None = None) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        adopt(folder, name, reference)
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)
    assert not list(reference.rglob("*")), "nothing is left behind"
    return str(caught.value)


def test_only_finished_runs_are_adopted(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"variants": {}, "comparisons": [], "targets": [], "metrics": {}}
    failed = write_run(tmp_path / "run", summary() | nothing | {"status": "failed", "failure": "x"})
    assert "only a finished run" in refused(failed, tmp_path / "reference")


def test_more_than_the_limit_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "per_query.parquet").write_bytes(os.urandom(LIMIT_BYTES))
    assert "at most 5 allowed" in refused(folder, tmp_path / "reference")


def test_what_packs_below_the_limit_is_kept(folder: Path, tmp_path: Path) -> None:
    (folder / "per_query.parquet").write_bytes(bytes(2 * LIMIT_BYTES))
    kept = adopt(folder, None, tmp_path / "reference")
    assert sum(map(len, contents(kept).values())) < LIMIT_BYTES


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "", "a b"])
def test_names_that_would_lead_elsewhere_are_refused(folder: Path, tmp_path: Path, name: str) -> None:
    assert "--as NAME" in refused(folder, tmp_path / "reference", name)


@pytest.mark.parametrize("missing", ["per_query.parquet", "curves.json"])
def test_a_run_that_lacks_a_file_is_refused(folder: Path, tmp_path: Path, missing: str) -> None:
    (folder / missing).unlink()
    assert f"lacks {missing}" in refused(folder, tmp_path / "reference")


def test_without_a_data_variant_a_name_must_be_given(folder: Path, tmp_path: Path) -> None:
    (folder / "resolved.yaml").write_text("seed: 0\n")
    assert "--as NAME" in refused(folder, tmp_path / "reference")
    assert adopt(folder, "mine", tmp_path / "reference").name == "mine"
