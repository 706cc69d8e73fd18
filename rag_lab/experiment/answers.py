"""The files of a run that come from live answers: answers.parquet, one row an answer, and per_query.parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int
from pyarrow import parquet

from rag_lab import bake
from rag_lab.assets import atomic
from rag_lab.experiment import spending
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import STAGES, Played
from rag_lab.pipeline import Computed, Reply
from rag_lab.types import Dataset


def write(lab: Lab, played: Mapping[str, Played]) -> None:
    """Write both files of every pipeline's answers, by variant."""
    variants = {name: one.replies for name, one in played.items()}
    write_parquet(lab.folder / "answers.parquet", pa.concat_tables(map(by_answer, variants, variants.values())))
    rows = pa.concat_tables([by_query(lab, name, replies) for name, replies in variants.items()])
    write_parquet(lab.folder / "per_query.parquet", rows)


def by_answer(variant: str, replies: Sequence[Reply]) -> pa.Table:
    """Every answer in the order of the requests, with its trace and with what was computed for it."""
    traces = np.array([reply.trace for reply in replies])
    return pa.table(
        {
            "variant": [variant] * len(replies),
            "request": np.arange(len(replies)),
            "query_id": [reply.query.id for reply in replies],
            "action": [reply.action for reply in replies],
            "answer": [reply.answer.text for reply in replies],
            **{f"{stage}_ms": traces[:, column] for column, stage in enumerate(STAGES)},
            **{f"computed_{name}": [getattr(reply.computed, name) for reply in replies] for name in Computed._fields},
        }
    )


def by_query(lab: Lab, variant: str, replies: Sequence[Reply]) -> pa.Table:
    """Every query that was asked, once, with means over its answers. Costs are of retrieval alone."""
    first = {reply.query.id: reply for reply in reversed(replies)}
    queries = list(first)
    place = {query: row for row, query in enumerate(queries)}
    row = np.array([place[reply.query.id] for reply in replies])
    usd = spending.usage(lab, replies).retrieval_usd(lab.prices)
    recall, ndcg = quality(lab.dataset, replies)
    traces = np.array([reply.trace for reply in replies])
    domains = (*lab.dataset.domains, None)  # -1, unknown, is the last
    columns: dict[str, Any] = {
        "query_id": queries,
        "domain": [one.query.domain for one in first.values()],
        "detected_domain": pa.array([domains[one.domain] for one in first.values()], pa.string()),
        "split": [one.query.split for one in first.values()],
        "variant": [variant] * len(queries),
        "answers": np.bincount(row),
        "recall_at_10": _mean(recall, row),
        "ndcg_at_10": _mean(ndcg, row),
        "latency_ms": _mean(traces[:, STAGES.index("e2e")], row),
        "cost_usd": _mean(usd, row),
    }
    columns |= {f"{stage}_ms": _mean(traces[:, column], row) for column, stage in enumerate(STAGES)}
    return pa.table(columns)


def quality(dataset: Dataset, replies: Sequence[Reply]) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    """recall@10 and nDCG@10 of the passages shown with each of N answers (see `rag_lab.kernels.rank`)."""
    qrels = {query: judged for one in dataset.collections for query, judged in one.qrels.items()}
    recall, ndcg = np.zeros(len(replies)), np.zeros(len(replies))
    for number, reply in enumerate(replies):
        judged = qrels[reply.query.id]
        grades = np.array([max(judged.get(passage, 0), 0) for passage in reply.passages[: bake.CUTOFF]])
        recall[number] = (grades > 0).sum() / sum(grade > 0 for grade in judged.values())
        gained = (grades / np.log2(np.arange(len(grades)) + 2)).sum()
        ndcg[number] = gained / bake.ideal_dcg(list(judged.values()))
    return recall, ndcg


def same(one: Sequence[Reply], other: Sequence[Reply]) -> float:
    """The share of requests to which both gave the same answer, from the same passages."""
    alike = [a.answer == b.answer and a.passages == b.passages for a, b in zip(one, other, strict=True)]
    return float(np.mean(alike))


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table, whole or not at all."""
    with atomic.write(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def _mean(values: Float[np.ndarray, " N"], row: Int[np.ndarray, " N"]) -> Float[np.ndarray, " Q"]:
    return np.bincount(row, values) / np.bincount(row)
