"""Two runs' test queries side by side, from per_query.parquet (gzipped in an adopted run): one variant of each.

Where a run is older than the column `cluster`, the other run's clusters serve; where both are, every query counts
as a cluster of its own, and that is said. Where both have clusters that differ, two queries are together if they
are in either run: then an interval is rather too wide than too narrow.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab import wiring
from rag_lab.errors import ConfigError, DataError
from rag_lab.report import run

# A column's name among metrics, and what it is multiplied by; other columns keep their own.
METRICS = {
    "recall_at_10": ("retrieval/recall_at_10", 1),
    "ndcg_at_10": ("retrieval/ndcg_at_10", 1),
    "mrr_at_10": ("retrieval/mrr_at_10", 1),
    "cost_usd": ("cost/usd_per_1k_queries", 1000),
    "api_calls": ("cost/api_calls_per_query", 1),
}
SPREAD = "_sd"  # over seeds, of the column without it


class Side(NamedTuple):
    """One variant of one run. columns: of per_query, for its test queries."""

    run: run.Run
    variant: str
    columns: Mapping[str, Sequence[Any]]

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(domain, query id) of every row."""
        return list(zip(self.columns["domain"], self.columns["query_id"], strict=True))

    @property
    def metrics(self) -> list[str]:
        """The columns that are measurements."""
        return [
            name
            for name, values in self.columns.items()
            if not name.endswith(SPREAD) and name != "cluster" and any(isinstance(one, float) for one in values)
        ]


class Paired(NamedTuple):
    """Queries that both sides have. domain: an index into `domains`. rows: of each query in either side."""

    domains: tuple[str, ...]
    domain: Int[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]
    rows: tuple[Int[np.ndarray, " Q"], Int[np.ndarray, " Q"]]
    notes: tuple[str, ...]


def load(folder: Path, variant: str | None) -> Side:
    """A finished run's variant, by default its treatment. DataError or ConfigError where there is none."""
    found = run.load(folder)
    if found.summary["status"] != "finished":
        raise DataError(f"status is {found.summary['status']}: only a finished run is compared", folder)
    table = _read(folder)
    variants = list(dict.fromkeys(table["variant"]))
    chosen = variant or found.treatment
    if chosen is None:
        raise ConfigError(f"{folder}: names no treatment; give --variants, of {', '.join(variants)}")
    if chosen not in variants:
        raise ConfigError(wiring.unknown(f"{folder}: {chosen}", chosen, variants))
    kept = [
        row
        for row, (name, split) in enumerate(zip(table["variant"], table["split"], strict=True))
        if name == chosen and split == "test"
    ]
    return Side(found, chosen, {name: [values[row] for row in kept] for name, values in table.items()})


def _read(folder: Path) -> dict[str, list[Any]]:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    plain, packed = folder / "per_query.parquet", folder / "per_query.parquet.gz"
    if not plain.is_file() and not packed.is_file():
        raise DataError("holds no per_query.parquet: this kind of run has no queries to compare", folder)
    try:
        source = plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())
        columns: dict[str, list[Any]] = parquet.read_table(io.BytesIO(source)).to_pydict()
    except (OSError, EOFError, pa.ArrowException) as error:
        raise DataError("is not readable; run it again", plain if plain.is_file() else packed) from error
    return columns


def pair(baseline: Side, treatment: Side, *, intersect: bool) -> Paired:
    """The queries of both. Unless only those are asked for, DataError where the data or the queries differ."""
    places = [{key: row for row, key in enumerate(side.keys)} for side in (baseline, treatment)]
    shared = [key for key in places[0] if key in places[1]]
    names = f"{baseline.run.folder} and {treatment.run.folder}"
    prints = [str(side.run.summary["data"]["fingerprint"])[:12] for side in (baseline, treatment)]
    only = [len(place) - len(shared) for place in places]
    remedy = "give --intersect to compare the queries that both have"
    notes = []
    if prints[0] != prints[1]:
        if not intersect:
            raise DataError(f"{names}: the data differ, fingerprints {prints[0]} and {prints[1]}; {remedy}")
        notes.append(
            f"The data differ (fingerprints {prints[0]} and {prints[1]}): a difference may be theirs, and queries "
            "are taken for the same by their ids alone."
        )
    if any(only):
        if not intersect:
            raise DataError(f"{names}: {only[0]} test queries are only in the first, {only[1]} in the second; {remedy}")
        notes.append(
            f"{len(shared)} queries are compared; {only[0]} are only in the baseline, {only[1]} in the treatment."
        )
    if not shared:
        raise DataError(f"{names}: share no test query; compare runs of the same data")
    known = [*baseline.run.domains, *sorted({domain for domain, _ in shared} - set(baseline.run.domains))]
    domains = tuple(domain for domain in known if any(domain == one for one, _ in shared))
    rows = tuple(np.array([place[key] for key in shared]) for place in places)
    domain = np.array([domains.index(one) for one, _ in shared])
    labels = [
        np.array(side.columns["cluster"])[at]
        for side, at in zip((baseline, treatment), rows, strict=True)
        if "cluster" in side.columns
    ]
    cluster, said = clusters(labels, domain)
    return Paired(domains, domain, cluster, (rows[0], rows[1]), (*notes, *said))


def clusters(
    labels: Sequence[Int[np.ndarray, " Q"]], domain: Int[np.ndarray, " Q"]
) -> tuple[Int[np.ndarray, " Q"], list[str]]:
    """Each query's cluster, numbered over all domains, and what must be said of them.

    labels: the paired queries' clusters by each run that tells them, numbered within a domain.
    """
    if not labels:
        return np.arange(len(domain)), [
            "Neither run says which queries share relevant passages (per_query.parquet has no column `cluster`): "
            "each counts as independent, so intervals are too narrow where some do."
        ]
    own = [np.unique(np.stack([domain, label]), axis=1, return_inverse=True)[1].ravel() for label in labels]
    together = own[0]
    while True:  # the least number that reaches a query through either run's clusters
        before = together
        for label in own:
            least = np.full(label.max() + 1, len(domain))
            np.minimum.at(least, label, together)
            together = least[label]
        if (together == before).all():
            return together, []


def values(side: Side, column: str, rows: Int[np.ndarray, " Q"]) -> Float[np.ndarray, " Q"]:
    """A measurement of these rows; NaN where it was not made."""
    _, scale = METRICS.get(column, (column, 1))
    return np.array(side.columns[column], np.float64)[rows] * scale
