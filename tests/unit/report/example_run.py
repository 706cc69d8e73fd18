"""A small but complete run folder, made of smooth invented curves: what a week2 run writes, to the schema.

Nothing here is measured. The numbers are deterministic, differ between variants and domains, and lie where
real ones do, so that tables and figures can be judged by eye.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from unit.report.example_curves import ALPHAS, DOMAINS, LEARNERS, QUERIES, REFERENCES, curves, level


def _metrics(recall: dict[str, float], usd: float, learner: bool) -> dict[str, float]:
    values: dict[str, float] = {}
    for metric, scale in (("recall_at_10", 1.0), ("ndcg_at_10", 0.78), ("mrr_at_10", 0.74)):
        for domain in DOMAINS:
            half = 1.6 * 0.4 / math.sqrt(QUERIES[domain])
            name = f"{domain}/retrieval/{metric}"
            values[name] = scale * recall[domain]
            values[f"{name}_ci_low"], values[f"{name}_ci_high"] = values[name] - half, min(1, values[name] + half)
        mean = scale * sum(recall.values()) / len(recall)
        values[f"retrieval/{metric}"] = mean
        values[f"retrieval/{metric}_ci_low"], values[f"retrieval/{metric}_ci_high"] = mean - 0.026, mean + 0.025
    values |= {"cost/usd_per_1k_queries": usd, "cost/api_calls_per_query": 3.0 if usd > 0.006 else 2.0}
    if learner:
        values |= {
            "bandit/cumulative_regret": 14.2,
            "bandit/convergence_queries": 143.0,
            "bandit/gap_closed": 0.04,
            "bandit/gap_closed_ci_low": -0.03,
            "bandit/gap_closed_ci_high": 0.11,
        }
    return values


def _comparison(
    family: str, metric: str, baseline: str, domain: str, difference: float, base: float, family_size: int
) -> dict[str, Any]:
    n = sum(QUERIES.values()) if domain == "mean" else QUERIES[domain]
    half = 0.2 / math.sqrt(n)
    p_value = min(1.0, max(1e-4, math.erfc(abs(difference) / half * 1.96 / math.sqrt(2))))
    return {
        "family": family,
        "metric": metric,
        "treatment": "thompson",
        "baseline": baseline,
        "domain": domain,
        "difference": difference,
        "relative": difference / base,
        "ci_low": difference - half,
        "ci_high": difference + half,
        "p_value": p_value,
        "p_adjusted": min(1.0, p_value * family_size),
        "n": n,
        "minimum_detectable_effect": 1.6 * half,
    }


def _comparisons(variants: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    rows = []
    for family, metric, baselines, places in (
        ("primary", "retrieval/recall_at_10", ["static_domain_tuned"], DOMAINS),
        ("recall@10 against every reference", "retrieval/recall_at_10", list(REFERENCES), ("mean", *DOMAINS)),
        ("nDCG@10 against every reference", "retrieval/ndcg_at_10", list(REFERENCES), ("mean", *DOMAINS)),
    ):
        for baseline in baselines:
            for place in places:
                name = metric if place == "mean" else f"{place}/{metric}"
                base = variants[baseline][name]
                rows.append(
                    _comparison(
                        family,
                        metric,
                        baseline,
                        place,
                        variants["thompson"][name] - base,
                        base,
                        len(baselines) * len(places),
                    )
                )
    return rows


def _targets() -> list[dict[str, Any]]:
    none: dict[str, Any] = {"value": None, "ci_low": None, "ci_high": None, "verdict": "not measured"}
    return [
        {
            "id": "w2.recall",
            "statement": "recall@10, adaptive α/β: +12% over balanced static",
            "metric": "retrieval/recall_at_10",
            "baseline": 0.673,
            "target": 0.12,
            "value": 0.034,
            "ci_low": 0.012,
            "ci_high": 0.057,
            "verdict": "missed",
            "why": "the whole interval lies below +12%",
        },
        {
            "id": "w2.beats_static",
            "statement": "adaptive beats tuned static",
            "metric": "retrieval/recall_at_10",
            "baseline": 0.698,
            "target": 0,
            "value": -0.002,
            "ci_low": -0.008,
            "ci_high": 0.004,
            "verdict": "inconclusive",
            "why": "a bandit without context can at best tie it on a stationary stream",
        },
        {
            "id": "w2.cost",
            "statement": "cost: −20%",
            "metric": "cost/usd_per_1k_queries",
            "baseline": 0.0073,
            "target": -0.2,
            "value": -0.004,
            "ci_low": -0.01,
            "ci_high": 0.0,
            "verdict": "missed",
            "why": "α alone saves only at 0 or 1",
        },
        {
            "id": "w2.convergence",
            "statement": "converges within 100 queries per domain",
            "metric": "bandit/convergence_queries",
            "baseline": None,
            "target": 100,
            "value": 143.0,
            "ci_low": None,
            "ci_high": None,
            "verdict": "missed",
            "why": "41% of 1,000 seeds within 100 queries",
        },
        {
            "id": "w2.pareto_waste",
            "statement": "no routed action is dominated",
            "metric": "pareto/wasted_share",
            "baseline": None,
            "target": 0,
            "value": 0.0,
            "ci_low": None,
            "ci_high": None,
            "verdict": "met",
            "why": "",
        },
        {
            "id": "w1.detect_p95",
            "statement": "domain detection, one query: 50 → 20 ms p95",
            "metric": "latency_ms/l2_p95",
            "baseline": 50,
            "target": 20,
            "why": "comes with Week 1",
            **none,
        },
        {
            "id": "w1.gpu_util",
            "statement": "GPU utilisation while detecting: > 70%",
            "metric": "system/gpu_0_utilization_percentage",
            "baseline": None,
            "target": 0.7,
            "why": "no GPU on this machine",
            **none,
        },
        {
            "id": "w3.hit_rate",
            "statement": "repeated queries found in the cache: > 60%",
            "metric": "cache/evidence/hit_rate",
            "baseline": None,
            "target": 0.6,
            "why": "comes with Week 3",
            **none,
        },
    ]


def summary() -> dict[str, Any]:
    """summary.json, to the schema."""
    variants: dict[str, dict[str, float]] = {}
    for name, alpha_of in {**REFERENCES, **LEARNERS}.items():
        loss = 0.004 if name in LEARNERS and "true" not in name else 0.0
        recall = {domain: level(domain, alpha) - loss for domain, alpha in alpha_of.items()}
        usd = 0.002 if name == "bm25" else 0.0053 if name == "dense" else 0.0073
        variants[name] = _metrics(recall, usd, name in LEARNERS)
    best = {domain: max(level(domain, alpha) for alpha in ALPHAS) for domain in DOMAINS}
    variants["oracle_domain"] = _metrics(best, 0.0073, False)
    variants["oracle_query"] = _metrics({domain: value + 0.055 for domain, value in best.items()}, 0.0071, False)
    return {
        "schema": 1,
        "run_id": "5f0c2e7ab91d4d7c8a3b",
        "experiment": "week2",
        "status": "finished",
        "started_at": "2026-01-15T02:03:04+00:00",
        "duration_s": 41.7,
        "seed": 0,
        "device": "cpu (2 cores, x86_64)",
        "versions": {"jax": "0.10.0", "numpy": "2.3.1", "rag-lab": "0.1.0"},
        "git": {"sha": "0123456789abcdef0123456789abcdef01234567", "dirty": False},
        "config_hash": "c0ffee12" * 4,
        "data": {
            "fingerprint": "3fa9c17b60d24e8894a1" + "0" * 44,
            "dropped_overlap": 12,
            "domains": {
                domain: {
                    "passages": 1800 + 210 * i,
                    "queries_train": QUERIES[domain] + 17,
                    "queries_test": QUERIES[domain],
                }
                for i, domain in enumerate(DOMAINS)
            },
        },
        "metrics": dict(variants["thompson"]),
        "variants": variants,
        "comparisons": _comparisons(variants),
        "targets": _targets(),
        "command": "python -m rag_lab +experiment=week2 seed=0",
        "notes": [
            "A bandit without context can at best tie the tuned static α on a stationary stream.",
            "One component of shared passages in finance holds 24% of its queries; intervals there are "
            "wider than the number of queries suggests.",
        ],
    }


CONFIG = """\
seed: 0
statistics:
  resamples: 10000
variant_names:
  data: packaged
  policy: thompson
"""
CARD = """\
# packaged

Real text from five pinned wheels. <b>Not</b> HTML.

| source | licence |
| --- | --- |
| evals 3.0.1.post1 | MIT |

- The finance documents are synthetic.
"""


def write_run(folder: Path, document: dict[str, Any] | None = None, lines: dict[str, Any] | None = None) -> Path:
    """Write a whole run folder and return it; `document` and `lines` stand in for summary and curves."""
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary() if document is None else document))
    (folder / "curves.json").write_text(json.dumps(curves() if lines is None else lines))
    (folder / "resolved.yaml").write_text(CONFIG)
    (folder / "data_card.md").write_text(CARD)
    rows = [
        {
            "query_id": f"{domain}-{i}",
            "domain": domain,
            "split": "test",
            "variant": variant,
            "recall_at_10": (i * 7 % 11) / 10,
            "ndcg_at_10": (i * 5 % 11) / 10,
        }
        for variant in ("static", "thompson")
        for domain in DOMAINS
        for i in range(20)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "per_query.parquet")
    return folder
