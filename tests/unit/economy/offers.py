"""Made-up outcomes in which it is known what pays, for the tests of routers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rag_lab import wiring
from rag_lab.economy.actions import Space
from rag_lab.economy.outcomes import Outcomes
from rag_lab.economy.router import Router, Setting

FOLDER = Path(__file__).resolve().parents[3] / "conf" / "router"
DOMAINS = ("healthcare", "finance")
SPACE = Space(("small", "large"), (2, 5, 10), (1.0, 0.5), (512,))
ACTIONS = SPACE.actions()
PRICE = np.array([1.0 if one.tier == "small" else 16.0 for one in ACTIONS])
PASSAGES = np.array([one.passages for one in ACTIONS])
MMR = np.array([one.mmr for one in ACTIONS])
LARGE = np.array([one.tier == "large" for one in ACTIONS])


def outcomes(queries: int = 240, seed: int = 0) -> tuple[Outcomes, np.ndarray]:
    """Outcomes and contexts. The large tier pays on hard queries (feature 0) and, by half as much, in finance.

    More passages raise quality and cost; λ = 0.5 raises diversity and costs a little quality. Feature 1 is noise.
    """
    random = np.random.default_rng(seed)
    context = random.integers(0, len(DOMAINS), queries)
    hard = random.random(queries)
    gain = 0.3 * hard[:, None] * LARGE * np.where(context == 1, 0.5, 1.0)[:, None]
    quality = 0.5 - 0.2 * hard[:, None] + gain + 0.02 * np.log2(PASSAGES) - 0.02 * (MMR < 1)
    tokens = 60 * PASSAGES + random.integers(0, 60, (queries, 1))
    retrieval = np.full(queries, 7e-6)
    cost = 1.5e-7 * PRICE * tokens + retrieval[:, None]
    diversity = 0.3 + 0.05 * np.log2(PASSAGES) + 0.2 * (MMR < 1)
    return (
        Outcomes(
            quality=np.clip(quality + random.normal(0, 0.05, quality.shape), 0, 1),
            cost_usd=cost,
            diversity=np.clip(diversity + random.normal(0, 0.02, quality.shape), 0, 1),
            confidence=np.clip(quality + random.normal(0, 0.05, quality.shape), 0, 1),
            retrieval_usd=retrieval,
            features=np.stack([hard, random.random(queries)], axis=1),
            most_usd=1.5e-7 * PRICE * (60 * PASSAGES + 60) + 7e-6,
            scores={},
        ),
        context,
    )


def setting(queries: int = 240, seed: int = 0) -> Setting:
    """What a router learns from."""
    train, context = outcomes(queries, seed)
    return Setting(DOMAINS, ACTIONS, train, context)


def build(name: str, **changes: Any) -> Router:
    """A router built from its YAML as a run builds it."""
    node = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return wiring.build(node | changes, "router")
