"""On the whole of scifact, BM25, MiniLM and their mix reach what is published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import reference
from command import Done, Workplace
from doubles import Bars

from rag_lab.data import beir

pytestmark = [pytest.mark.network, pytest.mark.shared_data]

SAMPLE = 25  # queries that the slow second implementation answers


@pytest.fixture(scope="module")
def scifact(session_folder: Path, shared_data: Path) -> Done:
    """Every fixed α on scifact's own split, all of its passages."""
    done = Workplace(session_folder / "scifact")(
        "whole", "+experiment=week2", "data=beir", f"data.domains.healthcare={shared_data / 'scifact'}",
        "data.keep_overlap=true", "encoder=vectors",
        f"encoder.domains.healthcare={shared_data.parent / 'vectors' / 'scifact'}", "tracking=jsonl",
        "policy=static", "references=[bm25,dense,oracle_query]", "experiment.resamples=100", "experiment.seeds=2",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    return done


def by_alpha(done: Done) -> list[float]:
    curves = json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))
    return curves["recall_by_alpha"]["healthcare"]["test"]["ndcg_at_10"]


def test_the_whole_collection_is_there(scifact: Done) -> None:
    found = scifact.summary["data"]["domains"]["healthcare"]
    assert found == {"passages": 5183, "queries_train": 809, "queries_test": 300}


def test_bm25_and_dense_reach_what_is_published(scifact: Done) -> None:
    variants = scifact.summary["variants"]
    assert variants["bm25"]["retrieval/ndcg_at_10"] == pytest.approx(0.662, abs=0.005)
    assert variants["dense"]["retrieval/ndcg_at_10"] == pytest.approx(0.645, abs=0.005)
    assert variants["bm25"]["retrieval/recall_at_10"] == pytest.approx(0.774, abs=0.005)
    assert variants["dense"]["retrieval/recall_at_10"] == pytest.approx(0.783, abs=0.005)


def test_the_hybrid_is_above_both(scifact: Done) -> None:
    curve = by_alpha(scifact)
    assert max(curve) > max(curve[0], curve[-1]) + 0.02
    assert curve[5] == pytest.approx(scifact.summary["variants"]["static"]["retrieval/ndcg_at_10"], abs=1e-9)


def test_the_second_implementation_agrees_on_pools_of_200_among_5183(scifact: Done) -> None:
    """Where the pools leave most passages out, unlike on a cut."""
    node = {key: value for key, value in scifact.resolved["data"].items() if key != "_target_"}
    (collection,) = beir.build(**node)(0, Bars()).collections
    rows = np.random.default_rng(0).choice(len(collection.queries), SAMPLE, replace=False)
    place = {passage.id: row for row, passage in enumerate(collection.passages)}
    folder = Path(scifact.resolved["encoder"]["domains"]["healthcare"])
    passages, queries = (np.load(folder / name).astype(np.float64) for name in ("corpus.npy", "queries.npy"))
    chosen = [collection.queries[row] for row in rows]
    alphas = [step / 10 for step in range(11)]
    expected = reference.evaluate(
        [passage.indexed_text for passage in collection.passages],
        [query.text for query in chosen],
        [{place[one]: grade for one, grade in collection.qrels[query.id].items()} for query in chosen],
        passages / np.linalg.norm(passages, axis=1, keepdims=True),
        (queries / np.linalg.norm(queries, axis=1, keepdims=True))[[query.row for query in chosen]],
        alphas,
        100,
    )
    (path,) = (scifact.cwd / "runs" / ".cache" / "baked").glob("metrics-*.npz")
    with np.load(path) as baked:
        for name, field in (("recall_at_10", "recall"), ("ndcg_at_10", "ndcg"), ("mrr_at_10", "mrr")):
            np.testing.assert_allclose(baked[field][rows], expected[name], atol=1e-6, err_msg=name)


def test_every_query_of_both_splits_has_a_row(scifact: Done) -> None:
    rows = parquet.read_table(scifact.folder / "per_query.parquet").to_pandas()
    assert rows.groupby(["variant", "split"]).size().loc["bm25"].to_dict() == {"test": 300, "train": 809}
