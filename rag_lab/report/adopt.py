"""A run kept for good: its small files copied to `runs/reference/<experiment>/<NAME>/`, which git tracks.

Kept are summary.json, curves.json, resolved.yaml and per_query.parquet (gzipped, without a time stamp, so
that the same run gives the same bytes), at most 5 MB in all.
"""

from __future__ import annotations

import gzip
import re
import secrets
import shutil
from pathlib import Path

from rag_lab.errors import ConfigError, DataError
from rag_lab.report.run import load

LIMIT_BYTES = 5_000_000
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")


def adopt(run_folder: Path | str, name: str | None, reference: Path) -> Path:
    """Copy a finished run to `<reference>/<experiment>/<name>/` and return that folder.

    `name` defaults to the run's data variant. An older run of that name is replaced as a whole. Raises
    DataError where the run is not finished, lacks a file or is too large, ConfigError on a bad name.
    """
    run = load(run_folder)
    if run.summary["status"] != "finished":
        raise DataError(f"status is {run.summary['status']}: only a finished run is adopted; run it again", run.folder)
    if name is None:
        name = run.config.get("variant_names", {}).get("data")
        if name is None:
            raise DataError("names no data variant; give a name with --as NAME", run.folder / "resolved.yaml")
    for what, given in (("name", str(name)), ("experiment", str(run.summary["experiment"]))):
        if not NAME.fullmatch(given):
            raise ConfigError(
                f"{what} {given!r}: letters, digits, _ - and . are allowed, not . first; choose another with --as NAME"
            )
    kept = _kept(run.folder)
    size = sum(len(content) for content in kept.values())
    if size > LIMIT_BYTES:
        raise DataError(
            f"{size / 1e6:.1f} MB to keep, at most {LIMIT_BYTES / 1e6:.0f} allowed; "
            "run with a smaller data.max_queries",
            run.folder,
        )
    folder = reference / str(run.summary["experiment"]) / str(name)
    _replace(folder, kept)
    return folder


def _kept(folder: Path) -> dict[str, bytes]:
    kept = {}
    for name in ("summary.json", "curves.json", "resolved.yaml", "per_query.parquet"):
        path = folder / name
        if not path.is_file():
            raise DataError(f"lacks {name}, which an adopted run must hold; run it again", folder)
        kept[name] = path.read_bytes()
    kept["per_query.parquet.gz"] = gzip.compress(kept.pop("per_query.parquet"), mtime=0)
    return kept


def _replace(folder: Path, files: dict[str, bytes]) -> None:
    """Write `files` to a hidden folder beside `folder`, then let it take its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(6)
    new, old = (folder.parent / f".{mark}.{kind}.{folder.name}" for kind in ("new", "old"))
    try:
        new.mkdir()
        for name, content in files.items():
            (new / name).write_bytes(content)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
