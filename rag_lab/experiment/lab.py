"""What an experiment works with: the built stages, and every query's baked numbers in one table.

Shapes: Q queries (of all domains and both splits, those with a relevant passage), A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab import bake
from rag_lab.economy.prices import Prices, api_calls
from rag_lab.encoder.wordpiece import count_tokens
from rag_lab.l1_retrieval.actions import read
from rag_lab.l1_retrieval.hybrid import Hybrid
from rag_lab.l2_domain.signature import UNKNOWN, Detector, Labelled
from rag_lab.study import Search
from rag_lab.tracking.jsonl import Events
from rag_lab.types import ActionSet, Dataset, Encoder, ProgressFactory, Query

CACHE = Path("runs/.cache")
STUDIES = Path("runs/studies.db")


@dataclass(frozen=True, slots=True)
class Lab:
    """One run's stages and surroundings. config: resolved; choices: each group's chosen variant."""

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    dataset: Dataset
    encoder: Encoder
    detector: Detector
    retriever: Hybrid
    prices: Prices
    search: Callable[[int, int], Search]
    progress: ProgressFactory
    events: Events

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    @property
    def actions(self) -> ActionSet:
        """The actions that policies may take. ConfigError where the set is missing or not allowed."""
        return read("alpha", self.config["actions"].get("alpha", []))


class Table(NamedTuple):
    """Every query with its numbers.

    context: the detected domain's index, D where it is unknown. cluster: within domain and split. rows: each
    query's row in its collection's baked arrays. tokens: what an embedding of it is billed for. identity: a hash
    of all that the metrics depend on. unjudged: how many queries were left out for want of a relevant passage.
    """

    queries: tuple[Query, ...]
    domain: Int[np.ndarray, " Q"]
    context: Int[np.ndarray, " Q"]
    test: Bool[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]
    metrics: Mapping[str, Float[np.ndarray, "Q A"]]
    actions: ActionSet
    baked: Mapping[str, bake.Baked]
    rows: Int[np.ndarray, " Q"]
    tokens: Int[np.ndarray, " Q"]
    identity: str
    unjudged: int

    def part(self, test: bool) -> Int[np.ndarray, " part"]:
        """The positions of the test queries, or of the train queries."""
        return np.flatnonzero(self.test == test)


RECALL, NDCG, MRR = "retrieval/recall_at_10", "retrieval/ndcg_at_10", "retrieval/mrr_at_10"
QUALITY = (RECALL, NDCG, MRR)
COST, CALLS = "cost/usd_per_1k_queries", "cost/api_calls_per_query"


def tabulate(lab: Lab) -> Table:
    """Encode, retrieve and bake whatever is not kept yet; detect every query's domain."""
    baked: dict[str, bake.Baked] = {}
    names, vectors = [], []
    for collection in lab.dataset.collections:
        queries = lab.encoder.queries(collection, lab.progress)
        made = bake.prepare(collection, lab.encoder, lab.retriever, lab.actions, CACHE / "baked", lab.progress)
        if made.fresh:
            lab.events.emit(
                "baked",
                domain=collection.domain,
                queries=len(queries),
                passages=len(collection.passages),
                actions=lab.actions.name,
            )
        baked[collection.domain] = made.baked
        names.append(made.name)
        vectors.append(queries)
    return _join(lab, baked, names, vectors)


def _join(
    lab: Lab,
    baked: dict[str, bake.Baked],
    names: list[str],
    vectors: list[Float[np.ndarray, "queries dimensions"]],
) -> Table:
    """One table over all domains, of the queries that have a relevant passage."""
    collections = lab.dataset.collections
    judged = [np.flatnonzero(np.isfinite(baked[collection.domain].recall[:, 0])) for collection in collections]
    queries = tuple(one.queries[row] for one, rows in zip(collections, judged, strict=True) for row in rows)
    domain = np.repeat(np.arange(len(collections)), [len(rows) for rows in judged])
    test = np.array([query.split == "test" for query in queries])

    embedded = np.concatenate([each[rows] for each, rows in zip(vectors, judged, strict=True)])
    texts = [query.text for query in queries]
    train = Labelled(
        texts=[text for text, held in zip(texts, test, strict=True) if not held],
        vectors=embedded[~test],
        domain=domain[~test],
        passages=[[passage.indexed_text for passage in one.passages] for one in collections],
    )
    detected = lab.detector.fit(train, live=None)(texts, embedded).domain
    tokens = count_tokens(texts, lab.progress)
    stacked = {
        metric: np.concatenate(
            [getattr(baked[one.domain], field)[rows] for one, rows in zip(collections, judged, strict=True)]
        ).astype(np.float64)
        for metric, field in ((RECALL, "recall"), (NDCG, "ndcg"), (MRR, "mrr"))
    }
    stacked[COST] = lab.prices.retrieval_usd(lab.actions, tokens) * 1000
    stacked[CALLS] = np.broadcast_to(api_calls(lab.actions), stacked[COST].shape)
    return Table(
        queries=queries,
        domain=domain,
        context=np.where(detected == UNKNOWN, len(collections), detected).astype(np.int32),
        test=test,
        cluster=np.array([query.cluster for query in queries]),
        metrics=stacked,
        actions=lab.actions,
        baked=baked,
        rows=np.concatenate(judged),
        tokens=tokens,
        identity=bake.identity(*names, *(query.id for query in queries), repr(test.tolist())),
        unjudged=sum(len(one.queries) - len(rows) for one, rows in zip(collections, judged, strict=True)),
    )
