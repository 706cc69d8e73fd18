"""Robustness, and what a label buys, of standing policies over α alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay, wiring
from rag_lab.experiment import labels, robustness
from rag_lab.experiment.lab import Lab, Table
from rag_lab.experiment.variants import PLAIN, standing
from rag_lab.l4_feedback.policy import Setting


def shaken(
    lab: Lab,
    plan: robustness.Plan,
    repetitions: int,
    queries_per_domain: int,
    table: Table,
    settings: Mapping[str, Setting],
    streams: Mapping[str, Int[np.ndarray, "S T"]],
    means: Mapping[str, Float[np.ndarray, "D A"]],
) -> dict[str, Any]:
    """Robustness, and what a label buys, both over α alone, of standing policies; nothing where none is asked."""
    if PLAIN not in table.sets or not plan.policies:
        return {}
    train, stream = table.part(test=False), streams[PLAIN][: plan.seeds]
    world = table.world(PLAIN, true_domain=False, rows=train)
    row = np.full(len(table.queries), -1)
    row[train] = np.arange(len(train))
    policies = {name: wiring.build(standing(name), f"robustness.policies.{name}") for name in plan.policies}
    judging = wiring.build(standing("jax", "filter", "filter"), "filter").settings
    shaken = robustness.rows(plan, policies, settings[PLAIN], world, row[stream], judging, seed=lab.seed)
    first = next(iter(policies.values()))
    path = replay.play(first, first.init(settings[PLAIN]), world, row[stream], seed=lab.seed)
    bought = labels.curves(
        path, row[stream], world, means[PLAIN],
        pulls_per_trial=min(lab.search(queries_per_domain, lab.seed).pulls_per_trial, queries_per_domain),
        repetitions=repetitions, seed=lab.seed,
    )  # fmt: skip
    return {
        "robustness": {"seeds": len(stream), "rows": [one._asdict() for one in shaken]},
        "labels": bought | {"bandit": next(iter(policies))},
    }
