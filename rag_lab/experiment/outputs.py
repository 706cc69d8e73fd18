"""The files of a run that come from its variants: per_query, decisions, rankings, qrels, recommended."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as parquet
import yaml

from rag_lab import bake
from rag_lab.assets import atomic
from rag_lab.experiment.curves import modal
from rag_lab.experiment.lab import CALLS, COST, MRR, NDCG, RECALL, Lab, Table
from rag_lab.experiment.off_policy import Log
from rag_lab.experiment.variants import Variant
from rag_lab.l4_feedback.policy import Ceiling


def write(lab: Lab, table: Table, variants: Mapping[str, Variant], logged: Log, depth: int) -> None:
    """Write them all. logged: the decisions that are kept; depth: ranks written."""
    _parquet(
        lab.folder / "per_query.parquet",
        pa.concat_tables([per_query(lab, table, one) for one in variants.values()]),
    )
    _parquet(lab.folder / "decisions.parquet", decisions(table, logged))
    _rankings(lab, table, variants, depth)
    recommend(lab, table, variants)


def per_query(lab: Lab, table: Table, variant: Variant) -> pa.Table:
    """One row for each query: test queries, and train queries too where nothing was fitted on them."""
    rows = table.part(test=True) if variant.fitted else np.arange(len(table.queries))
    names = [*lab.dataset.domains, None]
    queries = [table.queries[row] for row in rows]
    columns: dict[str, Any] = {
        "query_id": [query.id for query in queries],
        "domain": [query.domain for query in queries],
        "detected_domain": [names[table.context[row]] for row in rows],
        "split": [query.split for query in queries],
        "cluster": table.cluster[rows],
        "variant": [variant.name] * len(rows),
    }
    for metric, column in ((RECALL, "recall_at_10"), (NDCG, "ndcg_at_10"), (MRR, "mrr_at_10")):
        values = variant.values(table, metric)[:, rows]
        columns[column] = values.mean(axis=0)
        columns[f"{column}_sd"] = values.std(axis=0)
    columns["latency_ms"] = pa.nulls(len(rows), pa.float64())  # not measured by a replay
    columns["cost_usd"] = variant.values(table, COST)[:, rows].mean(axis=0) / 1000
    columns["api_calls"] = variant.values(table, CALLS)[:, rows].mean(axis=0)
    columns["alpha"] = table.actions.alpha[variant.actions[RECALL][:, rows]].mean(axis=0)
    columns["cluster"] = [query.cluster for query in queries]
    return pa.table(columns, schema=pa.schema([(name, _type(name)) for name in columns]))


def _type(column: str) -> pa.DataType:
    if column in ("query_id", "domain", "detected_domain", "split", "variant"):
        return pa.string()
    return pa.int64() if column == "cluster" else pa.float64()


def decisions(table: Table, logged: Log) -> pa.Table:
    """Every decision of the log, with the probability with which it was taken; reward is the judged one."""
    variant, stream, path = logged
    assert path.propensity is not None
    seeds, steps = stream.shape
    action, query = table.sets[variant.set][path.action.ravel()], stream.ravel()
    ids, domains = (np.array([getattr(one, field) for one in table.queries]) for field in ("id", "domain"))
    alpha = table.actions.alpha[action]
    return pa.table(
        {
            "query_id": ids[query],
            "domain": domains[query],
            "step": np.tile(np.arange(1, steps + 1, dtype=np.int32), seeds),
            "seed": np.repeat(np.arange(seeds, dtype=np.int32), steps),
            "policy": np.full(seeds * steps, variant.name),
            "action": action.astype(np.int32),
            "label": np.array(table.labels)[action],
            "alpha": alpha,
            "beta": np.round(1 - alpha, 6),
            "propensity": path.propensity.ravel().astype(np.float64),
            "reward": table.reward[query, action],
        }
    )


def _parquet(path: Path, table: pa.Table) -> None:
    with atomic.write(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")


def _rankings(lab: Lab, table: Table, variants: Mapping[str, Variant], depth: int) -> None:
    """TREC run files, and the judgments to score them by. The score column is 1/rank: no tool re-sorts ties.

    A learner has a ranking for each seed: its first seed's is written, as `<variant>.seed0.trec.gz`. A ceiling has
    one for each metric: that of recall is written, as `<variant>.recall_at_10.trec.gz`.
    """
    ids = [pa.array([passage.id for passage in one.passages]) for one in lab.dataset.collections]
    asked = pa.array([query.id for query in table.queries])
    tail = pa.array([f"{rank} {1 / rank:.6f}" for rank in range(1, depth + 1)])
    for name, one in variants.items():
        rows = table.part(test=True) if one.fitted else np.arange(len(table.queries))
        text: list[str] = []
        for number, collection in enumerate(lab.dataset.collections):
            own = rows[table.domain[rows] == number]
            chosen = np.zeros(len(collection.queries), np.int64)
            chosen[table.rows[own]] = one.actions[RECALL][0, own]
            if one.own is None:
                ranked = bake.rankings(table.baked[collection.domain], table.actions, chosen, depth)[table.rows[own]]
            else:
                ranked = one.own.ranking[own, :depth]
            query, rank = np.nonzero(ranked >= 0)
            passages = ids[number].take(pa.array(ranked[query, rank]))
            lines = pc.binary_join_element_wise(
                asked.take(pa.array(own[query])), "Q0", passages, tail.take(pa.array(rank)), name + "\n", " "
            )
            text += lines.to_pylist()
        which = ".recall_at_10" if isinstance(one.policy, Ceiling) else ".seed0" if one.path is not None else ""
        with atomic.write(lab.folder / "rankings" / f"{name}{which}.trec.gz") as temporary:
            temporary.write_bytes(gzip.compress("".join(text).encode(), compresslevel=1, mtime=0))
    with atomic.write(lab.folder / "qrels.tsv") as temporary:
        judged = [
            f"{query.id}\t{passage}\t{grade}\n"
            for one in lab.dataset.collections
            for query in one.queries
            for passage, grade in one.qrels.get(query.id, {}).items()
        ]
        temporary.write_text("query-id\tcorpus-id\tscore\n" + "".join(judged), encoding="utf-8")


def recommend(lab: Lab, table: Table, variants: Mapping[str, Variant]) -> None:
    """The setting to use: of all policies that act on the detected domain, the best on train, as one action a domain.

    A learner, or one who looks at the query, stands for itself by the action that it takes most often.
    """
    domains, train = lab.dataset.domains, table.part(test=False)
    settings = {
        name: modal(one, table, domains) for name, one in variants.items() if one.chooses and not one.true_domain
    }

    def value(name: str) -> float:
        actions = np.array([settings[name][domain] for domain in domains])
        values = table.metrics[RECALL][train, actions[table.domain[train]]]
        return float(np.mean([values[table.domain[train] == one].mean() for one in range(len(domains))]))

    best = max(settings, key=lambda name: round(value(name), 9))
    chosen = settings[best]
    middle = sorted(chosen.values(), key=lambda action: float(table.actions.alpha[action]))[len(chosen) // 2]

    def told(action: int) -> dict[str, Any]:
        alpha = round(float(table.actions.alpha[action]), 6)
        return {"action": table.labels[action], "alpha": alpha, "beta": round(1 - alpha, 6)}

    content = {
        "variant": best,
        "actions": variants[best].set,
        "train_recall_at_10": round(value(best), 6),
        "data_fingerprint": lab.dataset.fingerprint,
        "domains": {domain: told(action) for domain, action in chosen.items()},
        "otherwise": told(middle),
    }
    with atomic.write(lab.folder / "recommended.yaml") as temporary:
        head = "# The winning setting, chosen on train. Use it: policy=recommended policy.path=<this file>\n"
        temporary.write_text(head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
