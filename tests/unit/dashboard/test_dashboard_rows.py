"""Per-query and decision files summed up, held against plain Python over the same rows; and two runs paired."""

from __future__ import annotations

import gzip
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rag_lab.compare.pairing import METRICS
from rag_lab.dashboard import pairs, rows

DOMAINS = {"law": 40, "food": 25}


def per_query(folder: Path, shift: float = 0.0, dropped: int = 0, seed: int = 0) -> Path:
    """A file of two variants on both splits; `shift` is added to treat's recall on food, whatever the seed."""
    rng, found = np.random.default_rng(0), []
    for domain, count in DOMAINS.items():
        for number in range(count):
            for variant in ("treat", "base"):
                recall = float(rng.integers(0, 3)) / 4
                moved = shift if (variant, domain) == ("treat", "food") else 0.0
                for split, less in (("test", 0.0), ("train", 0.2)):
                    found.append({
                        "query_id": f"{domain}/{number}", "domain": domain, "detected_domain": domain, "split": split,
                        "variant": variant, "recall_at_10": recall + moved - less, "ndcg_at_10": recall,
                        "latency_ms": 1.0 + number if variant == "base" else None, "cost_usd": 1e-5,
                        "cluster": float(number // 2),
                    })  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "per_query.parquet"
    pq.write_table(pa.Table.from_pylist(found[: len(found) - 4 * dropped]), path)
    return path


def test_an_adopted_run_s_compressed_file_says_the_same(tmp_path: Path) -> None:
    path = per_query(tmp_path / "a")
    packed = tmp_path / "b" / "per_query.parquet.gz"
    packed.parent.mkdir()
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert rows.per_query(tmp_path / "b") == packed and rows.per_query(tmp_path) is None
    assert rows.variants(packed) == rows.variants(path) == ["treat", "base"]
    assert rows.scores(packed, "treat", ["recall_at_10"]).equals(rows.scores(path, "treat", ["recall_at_10"]))


def test_latencies_are_of_the_queries_that_were_timed(tmp_path: Path) -> None:
    found = rows.latencies(per_query(tmp_path))
    values = [1.0 + number for count in DOMAINS.values() for number in range(count)] * 2
    assert set(found) == {"base"} and found["base"]["queries"] == len(values)
    for share in (50, 95, 99):
        assert found["base"][f"p{share}"] == pytest.approx(np.percentile(values, share))


def test_extremes_are_the_largest_losses_then_the_largest_wins(tmp_path: Path) -> None:
    path = per_query(tmp_path)
    found = [row["difference"] for row in rows.extremes(path, "treat", "base")]
    one, two = (
        {row["query_id"]: row["recall_at_10"] for row in rows.scores(path, name, ["recall_at_10"]).to_pylist()}
        for name in ("treat", "base")
    )
    every = sorted(one[query] - two[query] for query in one)
    lost, won = [value for value in every if value < 0], [value for value in reversed(every) if value > 0]
    assert found == [*lost[: rows.LISTED], *won[: rows.LISTED]] and lost and won
    assert rows.extremes(path, "base", "base") == []


def test_alpha_by_step_is_the_mean_over_seeds_with_their_interval(tmp_path: Path) -> None:
    draw, steps, seeds = np.random.default_rng(1).uniform, 120, 5
    table = [
        {"policy": policy, "domain": domain, "step": step, "seed": seed, "alpha": draw(), "reward": draw()}
        for policy in ("a", "b") for domain in DOMAINS for step in range(1, steps + 1) for seed in range(seeds)
    ]  # fmt: skip
    path = tmp_path / "decisions.parquet"
    pq.write_table(pa.Table.from_pylist(table), path)
    found = rows.alpha_by_step(path)
    assert set(found) == {"a", "b"} and all(set(places) == set(DOMAINS) for places in found.values())
    width = -(-steps // rows.BINS)
    here = [row for row in table if (row["policy"], row["domain"], row["step"] // width) == ("b", "food", 7)]
    means = [fmean(row["alpha"] for row in here if row["seed"] == seed) for seed in range(seeds)]
    half = 1.96 * stdev(means) / seeds**0.5
    point = found["b"]["food"][7]
    assert point[0] == pytest.approx(fmean(row["step"] for row in here))
    assert point[1:4] == pytest.approx([fmean(means), fmean(means) - half, fmean(means) + half])


def test_one_seed_has_no_spread(tmp_path: Path) -> None:
    path = tmp_path / "decisions.parquet"
    row = {"policy": "a", "domain": "law", "step": 1, "seed": 0, "alpha": 0.5, "reward": 1.0}
    pq.write_table(pa.Table.from_pylist([row]), path)
    assert rows.alpha_by_step(path) == {"a": {"law": [[1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0]]}}


def test_two_runs_are_paired_by_query_on_the_test_split(tmp_path: Path) -> None:
    first, second = per_query(tmp_path / "a"), per_query(tmp_path / "b", shift=0.25, dropped=3)
    assert pairs.shared(first, second) == ["treat", "base"]
    found = pairs.compare(first, second, "treat")
    assert (found["paired"], found["only_first"], found["only_second"]) == (62, 3, 0)
    assert ("cluster" in pq.read_schema(first).names) == (not found["notes"])  # or intervals may be too narrow
    recall = {row["domain"]: row for row in found["comparisons"] if row["metric"] == "retrieval/recall_at_10"}
    assert recall["law"]["difference"] == 0 and recall["law"]["p_value"] == 1
    assert recall["food"]["difference"] == pytest.approx(0.25) and recall["food"]["p_adjusted"] < 0.05
    assert recall["mean"]["difference"] == pytest.approx(0.125) and recall["food"]["n"] == 22
    assert all(row["ci_low"] <= row["difference"] <= row["ci_high"] for row in found["comparisons"])
    assert {row["metric"] for row in found["comparisons"]} == {METRICS[one][0] for one in pairs.COLUMNS}


def test_a_run_compared_with_itself_differs_in_nothing(tmp_path: Path) -> None:
    path = per_query(tmp_path)
    assert {row["difference"] for row in pairs.compare(path, path, "base")["comparisons"]} == {0.0}
