"""Precomputed vectors: `corpus.npy` and `queries.npy` (float16 or float32) in the source files' row order.

A folder is given for each domain. Rows are taken by a text's original position, so cuts of the data set
(`data.max_passages`, `data.max_queries`) do not shift them; the row counts must be those of the whole files. An
`ids.txt` beside them, one passage id a line, is checked against the corpus when it is there.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rag_lab.errors import ConfigError, DataError
from rag_lab.types import Collection, ProgressFactory


@cache
def _read(path: Path) -> tuple[Float[np.ndarray, "rows dimensions"], str]:
    """The array, memory-mapped, and the sha256 of the file."""
    if not path.is_file():
        raise DataError("no such file; precomputed vectors are corpus.npy and queries.npy in file order", path)
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        raise DataError(f"not a NumPy array file: {error}", path) from error
    if rows.ndim != 2 or rows.dtype not in (np.float16, np.float32):
        raise DataError(f"found {rows.dtype}, shape {rows.shape}; allowed: float16 or float32, 2-D", path)
    with path.open("rb") as file:
        return rows, hashlib.file_digest(file, "sha256").hexdigest()


class Vectors:
    """The encoder stage. Vectors are normalised to unit length in float32."""

    def __init__(self, domains: dict[str, str]) -> None:
        self.folders = {domain: Path(folder) for domain, folder in domains.items()}

    def check(self, collection: Collection, progress: ProgressFactory) -> None:
        """ConfigError or DataError where the files are missing, or are not this collection's."""
        folder = self._folder(collection)
        widths = set()
        for name, expected in (
            ("corpus", collection.passages_in_source),
            ("queries", collection.queries_in_source),
        ):
            array, _ = _read(folder / f"{name}.npy")
            widths.add(array.shape[1])
            if len(array) != expected:
                raise DataError(
                    f"{len(array)} rows, but the source file has {expected}; encode the whole file",
                    folder / f"{name}.npy",
                )
        if len(widths) > 1:
            raise DataError(f"corpus.npy and queries.npy differ in dimensions: {sorted(widths)}", folder)
        listed = folder / "ids.txt"
        if listed.is_file():
            ids = listed.read_text(encoding="utf-8").splitlines()
            for passage in collection.passages:
                found = ids[passage.row] if passage.row < len(ids) else "nothing"
                if found != passage.id:
                    raise DataError(f"found {found}, but the corpus has {passage.id} there", listed, passage.row + 1)

    def identity(self, collection: Collection) -> str:
        """Changes whenever the vectors would: the content of both files."""
        folder = self._folder(collection)
        return "vectors-" + _read(folder / "corpus.npy")[1][:12] + _read(folder / "queries.npy")[1][:12]

    def passages(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "passages dimensions"]:
        """Unit vectors of the passages, in order."""
        self.check(collection, progress)
        return _rows(self._folder(collection) / "corpus.npy", [passage.row for passage in collection.passages])

    def queries(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "queries dimensions"]:
        """Unit vectors of the queries, in order."""
        self.check(collection, progress)
        return _rows(self._folder(collection) / "queries.npy", [query.row for query in collection.queries])

    def _folder(self, collection: Collection) -> Path:
        if collection.domain not in self.folders:
            raise ConfigError(
                f"encoder=vectors has no folder for domain '{collection.domain}'; it has "
                f"{sorted(self.folders) or 'none'}; give encoder.domains.{collection.domain}=<folder>"
            )
        return self.folders[collection.domain]


def _rows(path: Path, rows: list[int]) -> Float[np.ndarray, "rows dimensions"]:
    """These rows, at unit length."""
    array, _ = _read(path)
    taken = np.asarray(array[rows], np.float32)
    norms = np.linalg.norm(taken, axis=1, keepdims=True)
    good = np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)
    if not good.all():
        raise DataError(f"row {rows[int(np.argmin(good))]} (counted from 0) is zero or not finite", path)
    return taken / norms


def build(*, domains: dict[str, str]) -> Vectors:
    """The encoder. domains: for each domain, the folder that holds its corpus.npy and queries.npy."""
    return Vectors(domains)
