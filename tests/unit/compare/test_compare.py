"""Two runs paired query by query: pairing, clusters, what is refused, and the protocol's own statistics."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from rag_lab import compare
from rag_lab.compare import __main__ as command
from rag_lab.compare import pairing
from rag_lab.errors import ConfigError, DataError
from rag_lab.metrics import significance

PRINT = "ab" * 32
DOMAINS = ("law", "tax")


class Query(NamedTuple):
    id: str
    domain: str
    cluster: int


# Of each domain 30 queries in 12 clusters.
QUERIES = [Query(f"{domain}/q{n}", domain, n % 12) for domain in DOMAINS for n in range(30)]


def summary(**changes: Any) -> dict[str, Any]:
    return {
        "run_id": "r", "experiment": "week2", "status": "finished", "seed": 0, "device": "cpu",
        "data": {"fingerprint": PRINT, "dropped_overlap": 0, "domains": {name: {} for name in DOMAINS}},
        "metrics": {}, "variants": {}, "targets": [],
        "comparisons": [{"family": "primary", "treatment": "thompson"}],
    } | changes  # fmt: skip


def write(
    folder: Path,
    values: dict[str, Sequence[float]],
    *,
    queries: Sequence[Query] = QUERIES,
    clusters: bool = True,
    packed: bool = False,
    columns: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """A run's folder. values: recall@10 of every query, by variant."""
    folder.mkdir()
    (folder / "summary.json").write_text(json.dumps(summary(**changes)), encoding="utf-8")
    tables = []
    for variant, scores in values.items():
        count = len(queries)
        rows = {
            "query_id": [one.id for one in queries], "domain": [one.domain for one in queries],
            "split": ["test"] * count, "variant": [variant] * count,
            "recall_at_10": list(map(float, scores)), "recall_at_10_sd": [0.0] * count,
            "ndcg_at_10": list(map(float, scores)), "cost_usd": [0.002] * count,
            "latency_ms": pa.nulls(count, pa.float64()), **(columns or {}),
        }  # fmt: skip
        if clusters:
            rows["cluster"] = [one.cluster for one in queries]
        tables.append(pa.table(rows))
        tables.append(pa.table(rows | {"split": ["train"] * count, "recall_at_10": [0.0] * count}))
    parquet.write_table(pa.concat_tables(tables), folder / "per_query.parquet")
    if packed:
        path = folder / "per_query.parquet"
        (folder / "per_query.parquet.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    return folder


def scores(seed: int, mean: float = 0.5) -> np.ndarray:
    return np.random.default_rng(seed).binomial(1, mean, len(QUERIES)).astype(float)


def sides(one: Path, other: Path, *variants: str | None) -> tuple[pairing.Side, pairing.Side]:
    first, second = variants or (None, None)
    return pairing.load(one, first), pairing.load(other, second)


def runs(one: Path, other: Path, *columns: str, intersect: bool = False) -> compare.Compared:
    found = sides(one, other)
    return compare.runs(*found, columns or ["recall_at_10"], intersect=intersect, seed=1, resamples=400)


# Statistics


def test_the_rows_are_the_protocol_s_own(tmp_path: Path) -> None:
    """As an experiment computes them from the same numbers."""
    before, after = scores(1, 0.4), scores(2, 0.7)
    order = np.random.default_rng(3).permutation(len(QUERIES))
    one = write(tmp_path / "a", {"thompson": before})
    other = write(tmp_path / "b", {"thompson": after[order]}, queries=[QUERIES[row] for row in order], packed=True)
    found = runs(one, other)
    domain = np.array([DOMAINS.index(query.domain) for query in QUERIES])
    cluster = np.array([query.cluster for query in QUERIES])
    resampler = significance.Resampler(domain, cluster, seed=1, resamples=400)
    pair = significance.Pair(
        "retrieval/recall_at_10", "thompson", "thompson", after[None], before[None],
        resampler.estimate(after[None]), resampler.estimate(before[None]),
    )  # fmt: skip
    expected = significance.compare(resampler, "exploratory recall_at_10", [pair], DOMAINS, [30, 30], mean=True)
    assert [row.comparison for row in found.rows] == expected
    assert [row.comparison.domain for row in found.rows] == ["law", "tax", "mean"]
    assert found.rows[-1].baseline == pytest.approx(before.mean())
    assert found.rows[-1].treatment == pytest.approx(after.mean())
    assert (found.queries, found.clusters, found.notes) == (60, 24, [])


def test_a_run_against_itself_shows_nothing(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    for row in runs(one, one).rows:
        assert row.comparison.difference == row.comparison.ci_low == row.comparison.ci_high == 0
        assert row.comparison.p_adjusted == 1 and row.comparison.minimum_detectable_effect is None


def test_costs_are_told_as_metrics_are(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    other = write(tmp_path / "b", {"thompson": scores(1)}, columns={"cost_usd": [0.003] * 60})
    row = runs(one, other, "cost_usd").rows[-1]
    assert row.comparison.metric == "cost/usd_per_1k_queries"
    assert (row.baseline, row.treatment) == (pytest.approx(2), pytest.approx(3))


def test_queries_that_were_not_measured_are_left_out_and_counted(tmp_path: Path) -> None:
    grounded = [None if n % 3 == 0 else float(n % 2) for n in range(60)]
    one = write(tmp_path / "a", {"thompson": scores(1)}, columns={"groundedness": grounded})
    other = write(tmp_path / "b", {"thompson": scores(1)}, columns={"groundedness": [1.0] * 60})
    found = runs(one, other, "groundedness")
    assert [row.comparison.n for row in found.rows] == [20, 20, 40]
    assert found.rows[-1].baseline == pytest.approx(np.mean([one for one in grounded if one is not None]))
    assert "groundedness was not measured on 20 queries; they are left out of it." in found.notes


def test_means_over_seeds_are_said_to_be_such(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)}, columns={"recall_at_10_sd": [0.1] * 60})
    assert any("means over seeds" in note for note in runs(one, one).notes)


def test_too_few_clusters_are_said(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)[:8]}, queries=QUERIES[:8])
    assert any("8 clusters, too few" in note for note in runs(one, one).notes)


# Clusters


def test_an_older_run_takes_the_other_s_clusters(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    old = write(tmp_path / "b", {"thompson": scores(2)}, clusters=False)
    assert runs(one, old).clusters == runs(old, one).clusters == 24
    assert runs(one, old).notes == []


def test_without_clusters_each_query_stands_alone_and_that_is_said(tmp_path: Path) -> None:
    old = write(tmp_path / "a", {"thompson": scores(1)}, clusters=False)
    found = runs(old, old)
    assert found.clusters == 60
    assert any("no column `cluster`" in note and "too narrow" in note for note in found.notes)


def test_of_two_clusterings_the_coarser_union_counts(tmp_path: Path) -> None:
    """Chains through either run's clusters hold together: 0-1 and 2-3 in one, 1-2 in the other."""

    def of(clusters: Sequence[int]) -> list[Query]:
        return [Query(f"law/q{n}", "law", cluster) for n, cluster in enumerate(clusters)]

    one = write(tmp_path / "a", {"thompson": [0.5] * 6}, queries=of([0, 0, 1, 1, 2, 3]))
    other = write(tmp_path / "b", {"thompson": [0.5] * 6}, queries=of([5, 4, 4, 3, 2, 2]))
    paired = pairing.pair(*sides(one, other), intersect=False)
    assert len({*paired.cluster[:4]}) == 1 and len({*paired.cluster[4:]}) == 1
    assert paired.cluster[0] != paired.cluster[4]


def test_clusters_of_two_domains_are_not_taken_for_one(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    paired = pairing.pair(*sides(one, one), intersect=False)
    assert not {*paired.cluster[paired.domain == 0]} & {*paired.cluster[paired.domain == 1]}


# Choices and refusals


def test_the_treatment_is_the_default_and_others_are_chosen_by_name(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1), "static": scores(2)})
    assert [side.variant for side in sides(one, one)] == ["thompson", "thompson"]
    assert [side.variant for side in sides(one, one, "static", "thompson")] == ["static", "thompson"]
    with pytest.raises(ConfigError, match=r"did you mean 'static'\? allowed: thompson, static"):
        sides(one, one, "statik", "thompson")
    nameless = write(tmp_path / "b", {"static": scores(2)}, comparisons=[])
    with pytest.raises(ConfigError, match="names no treatment; give --variants, of static"):
        sides(one, nameless)


def test_other_data_are_refused_unless_asked_for(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    data = {"fingerprint": "cd" * 32, "domains": {name: {} for name in DOMAINS}}
    other = write(tmp_path / "b", {"thompson": scores(2)}, data=data)
    with pytest.raises(
        DataError, match=r"a and .*b: the data differ, fingerprints abab.* and cdcd.*; give --intersect"
    ):
        runs(one, other)
    assert any("The data differ" in note for note in runs(one, other, intersect=True).notes)


def test_other_queries_are_refused_unless_asked_for(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)[:40]}, queries=QUERIES[:40])
    other = write(tmp_path / "b", {"thompson": scores(2)[20:]}, queries=QUERIES[20:])
    with pytest.raises(DataError, match="20 test queries are only in the first, 20 in the second; give --intersect"):
        runs(one, other)
    found = runs(one, other, intersect=True)
    assert found.queries == 20 and [row.comparison.n for row in found.rows] == [10, 10, 20]
    assert "20 queries are compared; 20 are only in the baseline, 20 in the treatment." in found.notes
    assert found.rows[-1].baseline == pytest.approx(scores(1)[20:40].mean())


def test_nothing_shared_is_refused(tmp_path: Path) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)[:20]}, queries=QUERIES[:20])
    other = write(tmp_path / "b", {"thompson": scores(2)[20:40]}, queries=QUERIES[20:40])
    with pytest.raises(DataError, match="share no test query"):
        runs(one, other, intersect=True)


@pytest.mark.parametrize(
    ("column", "says"),
    [
        ("latency_ms", "--metrics latency_ms: not measured; measured are recall_at_10, ndcg_at_10, cost_usd"),
        ("recall", "--metrics recall: not measured; measured are"),
        ("query_id", "--metrics query_id: not measured"),
        ("cluster", "--metrics cluster: not measured"),
    ],
)
def test_what_was_not_measured_is_refused(tmp_path: Path, column: str, says: str) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    with pytest.raises(ConfigError, match=says):
        runs(one, one, column)


# The command


def called(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = command.main([*map(str, arguments), "--resamples", "200"])
    return (status, *capsys.readouterr())


def test_the_command_prints_a_table_read_at_a_glance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a", {"thompson": [0.0] * 60})
    other = write(tmp_path / "b", {"thompson": [*[1.0] * 30, *[0.0] * 30]})
    status, out, err = called(capsys, one, other)
    assert (status, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["A,", "baseline", "thompson", str(one)] in lines and [
        "B,",
        "treatment",
        "thompson",
        str(other),
    ] in lines
    (mean,) = (line for line in lines[:10] if line[:1] == ["mean"])
    (law,) = (line for line in lines[:10] if line[:1] == ["law"])
    (tax,) = (line for line in lines[:10] if line[:1] == ["tax"])
    assert mean[1:4] == ["0.000", "0.500", "+0.500"] and law[-1] == mean[-1] == "better"
    assert tax[1:4] == ["0.000", "0.000", "0.000"] and tax[-2:] == ["not", "worse"]
    assert max(map(len, out.splitlines())) <= 100


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    other = write(tmp_path / "b", {"thompson": scores(2), "static": scores(3)})
    status, out, _ = called(capsys, one, other, "--json", "--variants", "thompson", "static", "--metrics", "cost_usd")
    found = json.loads(out)
    assert status == 0
    assert found["baseline"] == {"run": str(one), "run_id": "r", "variant": "thompson", "fingerprint": PRINT}
    assert found["treatment"]["variant"] == "static" and (found["queries"], found["clusters"]) == (60, 24)
    assert [row["domain"] for row in found["comparisons"]] == ["law", "tax", "mean"]
    assert {"difference", "ci_low", "p_adjusted", "minimum_detectable_effect", "baseline_mean"} <= set(
        found["comparisons"][0]
    )


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = write(tmp_path / "a", {"thompson": scores(1)})
    failed = write(tmp_path / "b", {"thompson": scores(1)}, status="failed")
    bare = write(tmp_path / "c", {"thompson": scores(1)})
    (bare / "per_query.parquet").unlink()
    spoilt = write(tmp_path / "d", {"thompson": scores(1)})
    (spoilt / "per_query.parquet").write_bytes(b"nonsense")
    cases = {
        failed: "status is failed: only a finished run is compared",
        bare: "holds no per_query.parquet",
        spoilt: "per_query.parquet: is not readable",
        tmp_path / "nowhere": "no run folder",
    }
    for folder, says in cases.items():
        status, out, err = called(capsys, one, folder)
        assert (status, out) == (2, "") and err.startswith("python -m rag_lab.compare: ") and err.count("\n") == 1
        assert says in err


@pytest.mark.parametrize("arguments", [["--resamples", "5"], ["--seed", "-1"], ["--seed", "x"]])
def test_the_command_refuses_what_makes_no_sense(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        command.main(["a", "b", *arguments])
    assert raised.value.code == 2 and "allowed is a whole number from" in capsys.readouterr().err
