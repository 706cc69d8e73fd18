"""Quality against an earlier run's, paired query by query: what the same queries got then and now.

Quality is deterministic, so an unchanged rerun differs nowhere. Clusters of queries that share a relevant passage are
resampled together, domains weigh the same (`metrics.significance`). The p-value is one-sided, by sign-flip permutation;
`detectable` is the change found with 80% power.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from rag_lab.alerts.rule import Rule, worsened
from rag_lab.metrics.significance import Resampler, minimum_detectable_effect


class Scores(NamedTuple):
    """A column of per_query.parquet on the test queries of one variant, by query. cluster: -1 where unknown."""

    query: list[str]
    domain: list[str]
    value: Float[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]


class Paired(NamedTuple):
    """value, baseline: means over domains."""

    value: float
    baseline: float
    change: float
    p_value: float
    detectable: float | None
    n: int


def read(folder: Path, column: str, variant: str) -> Scores | None:
    """What the run in this folder scored; None where it has no such rows or column."""
    from pyarrow import parquet

    path = folder / "per_query.parquet"
    if not path.is_file():
        return None
    file = parquet.ParquetFile(path)
    wanted = ["query_id", "domain", column]
    if not {*wanted, "split", "variant"} <= set(file.schema_arrow.names):
        return None
    clustered = "cluster" in file.schema_arrow.names
    rows = parquet.read_table(
        path,
        columns=[*wanted, *(["cluster"] if clustered else [])],
        filters=[("split", "=", "test"), ("variant", "=", variant)],
    ).drop_null()
    if not rows.num_rows:
        return None
    cluster = rows["cluster"].to_numpy().astype(int) if clustered else np.full(rows.num_rows, -1)
    return Scores(rows["query_id"].to_pylist(), rows["domain"].to_pylist(), rows[column].to_numpy(), cluster)


def judge(rule: Rule, now: Scores, then: Scores, *, seed: int, resamples: int, rules: int) -> Paired | None:
    """Hold the queries that both runs scored against each other; None where there are none. rules: judged together."""
    places = {query: place for place, query in enumerate(then.query)}
    both = [(row, places[query]) for row, query in enumerate(now.query) if query in places]
    if not both:
        return None
    here, there = (np.array(column) for column in zip(*both, strict=True))
    names = {name: number for number, name in enumerate(dict.fromkeys(now.domain[row] for row in here))}
    domain = np.array([names[now.domain[row]] for row in here])
    cluster = np.where(now.cluster[here] < 0, now.cluster.max() + 1 + np.arange(len(here)), now.cluster[here])
    resampler = Resampler(domain, cluster, seed=seed, resamples=resamples)
    value, baseline = resampler.estimate(now.value[here][None]), resampler.estimate(then.value[there][None])
    change = float(value.value[-1] - baseline.value[-1])
    two_sided = float(resampler.p_values(now.value[here] - then.value[there])[-1])
    return Paired(
        float(value.value[-1]),
        float(baseline.value[-1]),
        change,
        two_sided / 2 if worsened(rule, change) > 0 else 1 - two_sided / 2,
        minimum_detectable_effect(value.draws[:, -1] - baseline.draws[:, -1], rules),
        len(here),
    )
