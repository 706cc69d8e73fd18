"""Folders in BEIR layout (Thakur et al. 2021, arXiv:2104.08663), one for each domain.

    corpus.jsonl[.gz]            {"_id", "title", "text"} a line; title may be absent or empty
    queries.jsonl[.gz]           {"_id", "text"} a line, and "answer" where there is a reference answer
    qrels/{train,dev,test}.tsv   query id, passage id, grade (an integer; above 0 is relevant), after a header

Files are UTF-8 and read as streams. A byte order mark, CRLF line ends and blank lines at the end do not
matter. Query ids become `<domain>/<id>`, since collections may share ids; passages keep theirs. `row` is the
position in the file, from 0. Only judged queries are kept. A query judged in several splits has the split and
the judgments of one of them: test wins over dev, dev over train.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import Field

from rag_lab.data.prepare import prepare
from rag_lab.data.validate import id_problem, string_problem, text_problem
from rag_lab.errors import ConfigError, DataError
from rag_lab.types import Collection, Dataset, Passage, Progress, ProgressFactory, Query, Split

SPLITS: tuple[Split, ...] = ("train", "dev", "test")  # a later one wins
HEADER = "query-id\tcorpus-id\tscore"
COLUMNS = "query-id corpus-id score, separated by tabs"
GRADE = re.compile(r"-?[0-9]{1,9}")  # fits 32 bits
ROWS_PER_STEP = 1024  # rows between two moves of the progress bar

# A domain's name becomes part of query ids, metric names and file names.
DomainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


def build(
    *,
    domains: dict[DomainName, str],
    max_queries: Annotated[int, Field(ge=2)] | None,
    max_passages: Annotated[int, Field(ge=1)] | None,
    test_share: Annotated[float, Field(gt=0, lt=1)],
    keep_overlap: bool,
) -> Callable[[int, ProgressFactory], Dataset]:
    """The loader, called as `load(seed, progress)`. domains: each domain's folder.

    max_queries, max_passages: totals over the domains, or None for all. test_share: the share of queries
    drawn into test where a folder has test judgments alone. keep_overlap: keep train queries that share a
    relevant passage with test. ConfigError without domains; the loader raises ConfigError for a folder that
    is missing and DataError for what is wrong in one, with file and line.
    """
    if not domains:
        raise ConfigError(
            "data=beir has no domains; give a folder in BEIR layout for each: data.domains.<domain>=<folder>"
        )

    def load(seed: int, progress: ProgressFactory) -> Dataset:
        read = [_read(domain, folder, progress) for domain, folder in domains.items()]
        dataset = prepare(
            "beir",
            [collection for collection, _ in read],
            _card(domains, [collection for collection, _ in read]),
            seed=seed,
            max_queries=max_queries,
            max_passages=max_passages,
            test_share=test_share,
            keep_overlap=keep_overlap,
        )
        return replace(dataset, notes=(*(note for _, notes in read for note in notes), *dataset.notes))

    return load


def _card(domains: dict[str, str], collections: list[Collection]) -> str:
    rows = "\n".join(
        f"- {each.domain}: `{domains[each.domain]}`, {each.passages_in_source:,} passages, "
        f"{each.queries_in_source:,} queries, {len(each.queries):,} of them judged"
        for each in collections
    )
    return (
        f"# Folders in BEIR layout\n\n{rows}\n\nLicences and attribution are those of each folder's source. "
        "A passage that was not judged for a query counts as not relevant, though it may be.\n"
    )


def _read(domain: str, given: str, progress: ProgressFactory) -> tuple[Collection, list[str]]:
    """One folder as a collection, with notes."""
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"data.domains.{domain}={given}: no such folder; give one that holds corpus.jsonl")
    corpus, asked, test = _either(folder, "corpus"), _either(folder, "queries"), folder / "qrels" / "test.tsv"
    if not test.is_file():
        raise DataError(f"no such file; test judgments are needed, with the header {COLUMNS}", test)
    judgments = {split: path for split in SPLITS if (path := test.with_name(f"{split}.tsv")).is_file()}
    size = sum(path.stat().st_size for path in (corpus, asked, *judgments.values()))
    with progress(f"read {domain}", size, "bytes") as bar:
        passages = tuple(
            Passage(row["_id"], row.get("title") or "", row["text"], line - 1) for line, row in _objects(corpus, bar)
        )
        queries = list(_objects(asked, bar))
        known = {row["_id"] for _, row in queries}, {passage.id for passage in passages}
        judged: dict[str, tuple[Split, dict[str, int]]] = {}
        several: set[str] = set()
        for split, path in judgments.items():
            found = _judgments(path, *known, bar)
            several |= judged.keys() & found.keys()
            judged |= {query: (split, grades) for query, grades in found.items()}
    kept = [(line, row) for line, row in queries if row["_id"] in judged]
    collection = Collection(
        domain=domain,
        passages=passages,
        queries=tuple(
            Query(
                id=f"{domain}/{row['_id']}",
                text=row["text"],
                domain=domain,
                split=judged[row["_id"]][0],
                row=line - 1,
                answer=row["answer"] if (row.get("answer") or "").strip() else None,
            )
            for line, row in kept
        ),
        qrels={f"{domain}/{row['_id']}": judged[row["_id"]][1] for _, row in kept},
        passages_in_source=len(passages),
        queries_in_source=len(queries),
    )
    note = f"{domain}: queries judged in several splits: {len(several)}; test wins over dev, dev over train."
    return collection, [note] if several else []


def _either(folder: Path, stem: str) -> Path:
    """The file, plain or compressed."""
    plain, compressed = folder / f"{stem}.jsonl", folder / f"{stem}.jsonl.gz"
    if plain.is_file() and compressed.is_file():
        raise DataError(f"lies beside {compressed.name}; keep one of them", plain)
    if compressed.is_file():
        return compressed
    if not plain.is_file():
        raise DataError(f"no such file, nor {compressed.name}; a BEIR folder holds one of them", plain)
    return plain


def _objects(path: Path, bar: Progress) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of each row. `_id` and `text` are sound; title and answer are where present."""
    lines: dict[str, int] = {}
    for number, line in _lines(path, bar):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"not JSON: {error.msg} at column {error.colno}", path, number) from error
        except (ValueError, RecursionError) as error:
            raise DataError("not JSON that can be read: a number or a nesting is too long", path, number) from error
        if not isinstance(row, dict):
            raise DataError('not a JSON object; a row is like {"_id": "1", "text": "…"}', path, number)
        problem = id_problem(row.get("_id"), '"_id"') or text_problem(row.get("text"), '"text"')
        for field in ("title", "answer"):
            if not problem and row.get(field) is not None:
                problem = string_problem(row[field], f'"{field}"')
        if problem:
            raise DataError(problem, path, number)
        before = lines.setdefault(row["_id"], number)
        if before != number:
            raise DataError(f'"_id" {row["_id"]!r} is on line {before} already; ids are unique', path, number)
        yield number, row


def _judgments(path: Path, queries: set[str], passages: set[str], bar: Progress) -> dict[str, dict[str, int]]:
    """query id -> passage id -> grade, as the file has them."""
    judged: dict[str, dict[str, int]] = {}
    rows = _lines(path, bar)
    _, header = next(rows, (1, ""))
    if header != HEADER:
        raise DataError(f"found {header[:80]!r}; the first line is the header {COLUMNS}", path, 1)
    for number, line in rows:
        columns = line.split("\t")
        if len(columns) != 3:
            raise DataError(f"found {len(columns)} columns; a row has 3: {COLUMNS}", path, number)
        query, passage, grade = columns
        if not GRADE.fullmatch(grade):
            raise DataError(f"grade {grade!r} is not an integer; above 0 means relevant", path, number)
        if query not in queries:
            raise DataError(f"query {query!r} is judged, but not in queries.jsonl", path, number)
        if passage not in passages:
            raise DataError(f"passage {passage!r} is judged, but not in corpus.jsonl", path, number)
        before = judged.setdefault(query, {}).setdefault(passage, int(grade))
        if before != int(grade):
            raise DataError(f"grade {grade} for a pair that was given {before} above", path, number)
    if path.name == "test.tsv" and not judged:
        raise DataError("no judgment after the header; test judgments are needed", path, 2)
    return judged


def _lines(path: Path, bar: Progress) -> Iterator[tuple[int, str]]:
    """(line number from 1, text without line end) of each line, read as a stream; moves the bar by bytes."""
    number = blank = moved = 0
    try:
        with path.open("rb") as raw, _decompressed(raw, path) as stream:
            for number, line in enumerate(stream, 1):
                if number % ROWS_PER_STEP == 0:
                    bar.advance(raw.tell() - moved)
                    moved = raw.tell()
                try:
                    text = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
                except UnicodeDecodeError as error:
                    bad = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the line"
                    raise DataError(f"not UTF-8: {bad}", path, number) from error
                if not text.strip():
                    blank = blank or number
                elif blank:
                    raise DataError("blank line; only the end of a file may have some", path, blank)
                else:
                    yield number, text
            bar.advance(raw.tell() - moved)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise DataError(f"damaged gzip: {error}; fetch it or compress it again", path, number + 1) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", path) from error


def _decompressed(raw: IO[bytes], path: Path) -> IO[bytes] | gzip.GzipFile:
    """The stream itself, or what a gzip stream holds."""
    return gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
