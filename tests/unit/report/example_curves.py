"""The curves of the invented run (see example_run): smooth, deterministic, and where real ones lie."""

from __future__ import annotations

import math
from typing import Any

DOMAINS = ("healthcare", "finance", "general")
ALPHAS = [round(0.1 * i, 1) for i in range(11)]
PEAK = {"healthcare": (0.35, 0.79, 0.30), "finance": (0.12, 0.41, 0.42), "general": (0.22, 0.90, 0.16)}
QUERIES = {"healthcare": 118, "finance": 164, "general": 317}
REFERENCES = {
    "static": dict.fromkeys(DOMAINS, 0.5),
    "static_domain": {"healthcare": 0.7, "finance": 0.5, "general": 0.4},
    "static_domain_true_domain": {"healthcare": 0.7, "finance": 0.5, "general": 0.4},
    "static_tuned": dict.fromkeys(DOMAINS, 0.2),
    "static_tuned_pulls": dict.fromkeys(DOMAINS, 0.3),
    "static_domain_tuned": {"healthcare": 0.4, "finance": 0.1, "general": 0.2},
    "static_domain_tuned_pulls": {"healthcare": 0.3, "finance": 0.2, "general": 0.3},
    "bm25": dict.fromkeys(DOMAINS, 1.0),
    "dense": dict.fromkeys(DOMAINS, 0.0),
}
LEARNERS = {
    "thompson": {"healthcare": 0.4, "finance": 0.1, "general": 0.3},
    "thompson_true_domain": {"healthcare": 0.4, "finance": 0.1, "general": 0.2},
    "thompson_flat_prior": {"healthcare": 0.3, "finance": 0.2, "general": 0.2},
}
CEILINGS = ("oracle_domain", "oracle_query")


def level(domain: str, alpha: float, split: str = "test") -> float:
    peak, top, fall = PEAK[domain]
    wobble = 0.006 * math.sin(17 * alpha + len(domain) + (2.0 if split == "train" else 0.0))
    return top + (0.02 if split == "train" else 0.0) - fall * (alpha - peak) ** 2 + wobble


def _saturating(top: float, pace: float, steps: list[int]) -> list[float]:
    return [top * (1 - math.exp(-step / pace)) for step in steps]


def curves() -> dict[str, Any]:
    """curves.json, every part of it."""
    steps = list(range(0, 501, 10))
    regret = {
        name: _saturating(top, pace, steps)
        for name, top, pace in (
            ("thompson", 11.0, 120),
            ("thompson_flat_prior", 17.0, 140),
            ("full_information", 2.4, 40),
        )
    }
    regret |= {
        name: [slope * step for step in steps]
        for name, slope in (
            ("static", 0.046),
            ("static_domain", 0.06),
            ("static_tuned", 0.012),
            ("static_domain_tuned", 0.002),
        )
    }
    fixed = ("static", "static_domain", "static_tuned", "static_domain_tuned")
    bands = {
        name: {
            "mean": mean,
            "low": [m * (1.0 if name in fixed else 0.6) for m in mean],
            "high": [m * (1.0 if name in fixed else 1.5) for m in mean],
        }
        for name, mean in regret.items()
    }
    posterior = {}
    for domain in DOMAINS:
        true = [level(domain, alpha, "train") for alpha in ALPHAS]
        share = [math.exp(60 * (value - max(true))) for value in true]
        preset = REFERENCES["static_domain"][domain]
        posterior[domain] = {
            "prior_mean": [0.6 - 0.2 * abs(alpha - preset) for alpha in ALPHAS],
            "prior_sd": [0.25] * len(ALPHAS),
            "mean": [
                [value - 0.03 * (1 - s) * (2 - at) for value, s in zip(true, share, strict=True)] for at in (0, 1)
            ],
            "sd": [[(0.02 + 0.09 * (1 - s)) * (2 - at) for s in share] for at in (0, 1)],
            "pull_share": [[1 / len(share)] * len(share), [s / sum(share) for s in share]],
            "true_mean": true,
        }
    convergence = {}
    for name, pace, top in (
        ("thompson", 170, 0.93),
        ("thompson_flat_prior", 260, 0.8),
        ("thompson_never_updates", 1e9, 0.0),
        ("full_information", 50, 1.0),
    ):
        shares = {
            domain: [top * (1 - math.exp(-step / (pace * (1 + 0.4 * i)))) for step in steps]
            for i, domain in enumerate(DOMAINS)
        }
        convergence[name] = {**shares, "mean": [sum(column) / 3 for column in zip(*shares.values(), strict=True)]}
    by_alpha = {}
    for domain in DOMAINS:
        half = 0.6 / math.sqrt(QUERIES[domain])
        test = [level(domain, alpha) for alpha in ALPHAS]
        train = [level(domain, alpha, "train") for alpha in ALPHAS]
        by_alpha[domain] = {
            "train": {"recall_at_10": train, "ndcg_at_10": [0.78 * value for value in train]},
            "test": {
                "recall_at_10": test,
                "recall_at_10_ci_low": [value - half for value in test],
                "recall_at_10_ci_high": [min(1.0, value + half) for value in test],
                "ndcg_at_10": [0.78 * value for value in test],
            },
        }
    chosen = {name: REFERENCES[name] for name in ("static", "static_tuned", "static_domain_tuned")}
    return {
        "schema": 2,
        "treatment": "thompson",
        "domains": list(DOMAINS),
        "alphas": ALPHAS,
        "ceilings": list(CEILINGS),
        "alpha_of": {**chosen, "thompson": LEARNERS["thompson"]},
        "recall_by_alpha": by_alpha,
        "regret": {"step": steps, "seeds": 1000, "unit": "recall@10", "variants": bands},
        "posterior": {"seeds": 1000, "step": [20, 500], "variants": {"thompson": posterior}},
        "convergence": {"step": steps, "threshold": 0.99, "seeds": 1000, "variants": convergence},
    }
