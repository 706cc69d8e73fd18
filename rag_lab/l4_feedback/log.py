"""Real feedback from a file: JSON Lines or Parquet, one item a row, with the columns of
`feedback.FeedbackBatch`.

    {"user": "u7", "query": "q12", "domain": "finance", "rating": 0.8, "time_s": 1760000000, "dwell_s": 12,
     "position": 3}

user and query are strings or integers of whatever kind, and are numbered in the order in which they appear;
domain is a name, and unknown where it is null or not among the domains asked for, if any are. Numbers may be
out of range, NaN or infinite: the filter calls such an item invalid. What is missing or of another type is an
error of the file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rag_lab.errors import DataError
from rag_lab.l4_feedback.feedback import MAX_DOMAINS, FeedbackBatch

COLUMNS = FeedbackBatch._fields
EXAMPLE = (
    '{"user": "u7", "query": "q12", "domain": "finance", "rating": 0.8, "time_s": 1760000000, "dwell_s": 12, '
    '"position": 3}'
)
LARGEST = 2**31 - 1


class Log(NamedTuple):
    """The items in the file's order. users, queries, domains: the names behind the numbers."""

    batch: FeedbackBatch
    users: tuple[str | int, ...]
    queries: tuple[str | int, ...]
    domains: tuple[str, ...]


def read(path: Path, domains: Sequence[str] | None = None) -> Log:
    """Read a log; a domain's number is its place in `domains`, by default those of the file in the order in which
    they appear. DataError names the file and the line.
    """
    readers = {".jsonl": _json_lines, ".parquet": _parquet}
    if path.suffix not in readers:
        raise DataError("is neither .jsonl nor .parquet; write feedback as one of them", path)
    known = {name: number for number, name in enumerate(domains or ())}
    users: dict[str | int, int] = {}
    queries: dict[str | int, int] = {}
    rows = []
    try:
        for line, row in readers[path.suffix](path):
            problem = _problem(row)
            if problem:
                raise DataError(problem, path, line)
            if domains is None and row["domain"] is not None:
                known.setdefault(row["domain"], len(known))
            rows.append(
                (
                    users.setdefault(row["user"], len(users)),
                    queries.setdefault(row["query"], len(queries)),
                    known.get(row["domain"], -1),
                    *(row[name] for name in ("rating", "time_s", "dwell_s", "position")),
                )
            )
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}", path) from error
    if len(known) > MAX_DOMAINS:
        raise DataError(f"names {len(known)} domains; at most {MAX_DOMAINS}", path)
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    kinds = (np.int32, np.int32, np.int32, np.float32, np.float64, np.float32, np.int32)
    with np.errstate(over="ignore"):  # a number too large for float32 becomes infinite, and so invalid
        arrays = (np.array(column, np.float64).astype(kind) for column, kind in zip(columns, kinds, strict=True))
        return Log(FeedbackBatch(*arrays), tuple(users), tuple(queries), tuple(known))


def _problem(row: Mapping[str, Any]) -> str:
    """What is wrong with a row, or nothing."""
    missing = [name for name in COLUMNS if name not in row]
    if missing:
        return f'no "{missing[0]}"; an item is like {EXAMPLE}'
    for name in ("user", "query"):
        if not isinstance(row[name], str | int) or isinstance(row[name], bool):
            return f'"{name}" is {_shown(row[name])}; give a string or an integer'
    if not isinstance(row["domain"], str | None):
        return f'"domain" is {_shown(row["domain"])}; give a domain\'s name, or null where it is unknown'
    for name in ("rating", "time_s", "dwell_s"):
        if not isinstance(row[name], int | float) or isinstance(row[name], bool):
            return f'"{name}" is {_shown(row[name])}; give a number'
        if isinstance(row[name], int) and not math.isfinite(_real(row[name])):
            return f'"{name}" is a number too long to be read'
    position = row["position"]
    if not isinstance(position, int) or isinstance(position, bool) or abs(position) > LARGEST:
        return f'"position" is {_shown(position)}; give the rank, an integer from 1 on'
    return ""


def _real(number: int) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _shown(value: Any) -> str:
    return repr(value)[:80]


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                row = json.loads(text) if text.strip() else None
            except UnicodeDecodeError as error:
                raise DataError(f"not UTF-8: byte 0x{line[error.start]:02x}", path, number) from error
            except json.JSONDecodeError as error:
                raise DataError(f"not JSON: {error.msg} at column {error.colno}", path, number) from error
            except (ValueError, RecursionError) as error:
                raise DataError("not JSON that can be read: a number or a nesting is too long", path, number) from error
            if not isinstance(row, dict):
                raise DataError(f"not a JSON object; an item is like {EXAMPLE}", path, number)
            yield number, row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Rows count from 1."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"is not a Parquet file: {str(error).splitlines()[0]}", path) from error
    with file:
        number = 0
        names = [name for name in COLUMNS if name in file.schema_arrow.names]
        try:
            for block in file.iter_batches(columns=names):
                for row in block.to_pylist():
                    number += 1
                    yield number, row
        except pyarrow.ArrowInvalid as error:
            raise DataError(f"damaged: {str(error).splitlines()[0]}", path, number + 1) from error
