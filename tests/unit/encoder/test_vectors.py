"""Precomputed vectors: the right row for every text, or one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from doubles import Bars, collection

from rag_lab.encoder.vectors import Vectors, build
from rag_lab.errors import ConfigError, DataError
from rag_lab.types import Collection

RANDOM = np.random.default_rng(0)
CORPUS = RANDOM.normal(size=(6, 4)).astype(np.float32)
QUERIES = RANDOM.normal(size=(3, 4)).astype(np.float32)
WHOLE = collection([f"text {row}" for row in range(6)], [f"query {row}" for row in range(3)], [{0: 1}] * 3)
Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Writes a folder of vectors."""

    def write(corpus: np.ndarray = CORPUS, queries: np.ndarray = QUERIES, ids: str | None = None) -> Path:
        tmp_path.mkdir(exist_ok=True)
        np.save(tmp_path / "corpus.npy", corpus)
        np.save(tmp_path / "queries.npy", queries)
        if ids is not None:
            (tmp_path / "ids.txt").write_text(ids, encoding="utf-8")
        return tmp_path

    return write


def encoder(path: Path) -> Vectors:
    return build(domains={"healthcare": str(path)})


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)


@pytest.mark.parametrize(("kind", "tolerance"), [(np.float32, 1e-6), (np.float16, 2e-3)])
def test_vectors_are_read_in_order_at_length_one(folder: Folder, kind: type, tolerance: float) -> None:
    one = encoder(folder(CORPUS.astype(kind), QUERIES.astype(kind)))
    passages, queries = one.passages(WHOLE, Bars()), one.queries(WHOLE, Bars())
    assert passages.dtype == queries.dtype == np.float32
    np.testing.assert_allclose(passages, unit(CORPUS), atol=tolerance)
    np.testing.assert_allclose(queries, unit(QUERIES), atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(passages, axis=1), 1, atol=1e-6)


def cut(passages: list[int], queries: list[int]) -> Collection:
    """A cut as data.max_passages and data.max_queries make it: rows keep their place in the source."""
    return replace(
        WHOLE,
        passages=tuple(WHOLE.passages[row] for row in passages),
        queries=tuple(WHOLE.queries[row] for row in queries),
    )


def test_a_cut_takes_rows_by_their_original_position(folder: Folder) -> None:
    one = encoder(folder(ids="".join(f"p{row}\n" for row in range(6))))
    np.testing.assert_allclose(one.passages(cut([1, 5], [2]), Bars()), unit(CORPUS[[1, 5]]), atol=1e-6)
    np.testing.assert_allclose(one.queries(cut([1, 5], [2]), Bars()), unit(QUERIES[[2]]), atol=1e-6)


def test_rows_are_counted_against_the_whole_file_even_in_a_cut(folder: Folder) -> None:
    with pytest.raises(DataError, match=r"corpus\.npy: 5 rows, but the source file has 6; encode the whole file$"):
        encoder(folder(corpus=CORPUS[:5])).passages(cut([1], [0]), Bars())


def test_rows_of_queries_are_counted_too(folder: Folder) -> None:
    with pytest.raises(DataError, match=r"queries\.npy: 2 rows, but the source file has 3; encode the whole file$"):
        encoder(folder(queries=QUERIES[:2])).queries(cut([1], [0]), Bars())


def test_ids_that_disagree_name_the_line(folder: Folder) -> None:
    one = encoder(folder(ids="p0\np1\npX\np3\np4\np5\n"))
    with pytest.raises(DataError, match=r"ids\.txt:3: found pX, but the corpus has p2 there$"):
        one.passages(WHOLE, Bars())
    assert len(one.passages(cut([0, 1, 5], []), Bars())) == 3


def test_ids_that_are_too_few(folder: Folder) -> None:
    with pytest.raises(DataError, match=r"ids\.txt:5: found nothing, but the corpus has p4 there$"):
        encoder(folder(ids="p0\np1\np2\np3\n")).passages(WHOLE, Bars())


@pytest.mark.parametrize("bad", [0, np.nan, np.inf])
def test_a_row_without_a_direction(folder: Folder, bad: float) -> None:
    broken = CORPUS.copy()
    broken[4] = bad
    with pytest.raises(DataError, match=r"corpus\.npy: row 4 \(counted from 0\) is zero or not finite$"):
        encoder(folder(broken)).passages(WHOLE, Bars())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CORPUS.astype(np.float64), r"found float64, shape \(6, 4\); .*float16 or float32, 2-D$"),
        (CORPUS[0], r"found float32, shape \(4,\); .*float16 or float32, 2-D$"),
        (CORPUS.astype(np.int32), r"found int32, shape \(6, 4\); "),
    ],
)
def test_an_array_of_another_kind(folder: Folder, content: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=rf"corpus\.npy: {message}"):
        encoder(folder(content)).passages(WHOLE, Bars())


def test_a_file_that_is_no_array(folder: Folder) -> None:
    path = folder()
    (path / "corpus.npy").write_text("not vectors", encoding="utf-8")
    with pytest.raises(DataError, match=r"corpus\.npy: not a NumPy array file: "):
        encoder(path).passages(WHOLE, Bars())


def test_a_file_that_is_not_there(folder: Folder) -> None:
    path = folder()
    (path / "queries.npy").unlink()
    with pytest.raises(DataError, match=r"queries\.npy: no such file; "):
        encoder(path).queries(WHOLE, Bars())


def test_a_domain_without_a_folder(folder: Folder) -> None:
    with pytest.raises(ConfigError, match=r"'finance'; it has \['healthcare'\]; .*encoder\.domains\.finance=<folder"):
        encoder(folder()).passages(replace(WHOLE, domain="finance"), Bars())
    with pytest.raises(ConfigError, match=r"it has none; .*encoder\.domains\.healthcare="):
        build(domains={}).identity(WHOLE)


def test_the_identity_is_that_of_both_files(tmp_path: Path) -> None:
    """Not of the folder: the same vectors elsewhere are the same vectors."""

    def identity(name: str, corpus: np.ndarray, queries: np.ndarray) -> str:
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "corpus.npy", corpus)
        np.save(tmp_path / name / "queries.npy", queries)
        return encoder(tmp_path / name).identity(WHOLE)

    one = identity("a", CORPUS, QUERIES)
    assert one == identity("b", CORPUS, QUERIES)
    assert len({one, identity("c", CORPUS + 1, QUERIES), identity("d", CORPUS, QUERIES + 1)}) == 3
