"""Groundedness as a part of the reward: whether the answer that a query gets from what an action finds is supported.

The configured generator answers every distinct evidence set once (`rag_lab.answer_bake`); answers are kept on disk. A
refusal claims nothing, so nothing of it can be grounded: as a part of the reward it earns 0. That is a value of the
reward, not of the metric `answer/groundedness`, which leaves refusals out.

Shapes: Q queries, A actions of all sets in use, K passages shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from rag_lab import answer_bake, bake, wiring
from rag_lab.answer_bake import Desk
from rag_lab.answer_bake.evidence import of_rankings
from rag_lab.encoder.reading import open_shelf
from rag_lab.errors import ConfigError
from rag_lab.experiment.lab import CACHE, GROUNDED, Lab, Table
from rag_lab.l3_answer.generator import Tools

PART = "groundedness"


def check(lab: Lab, reward: Mapping[str, float]) -> None:
    """ConfigError where groundedness has a weight but nothing answers, or what is shown depends on the query."""
    if not reward.get(PART):
        return
    if wiring.build(lab.config["generator"], "generator") is None:
        raise ConfigError("experiment.reward.groundedness: generator=none answers nothing; give generator=extractive")
    if wiring.build(lab.config["router"], "router").always is None:
        raise ConfigError(
            f"experiment.reward.groundedness: router={lab.choices['router']} shows each query another number of "
            "passages; give router=fixed"
        )


def rewarded(lab: Lab, table: Table, reward: Mapping[str, float]) -> Table:
    """The table with groundedness in its metrics and its reward; as it was where groundedness has no weight."""
    weight = reward.get(PART, 0.0)
    if not weight:
        return table
    found = _earned(lab, table)
    return table._replace(
        metrics={**table.metrics, GROUNDED: found},
        reward=table.reward + weight * found,
        identity=bake.identity(table.identity, PART, repr(weight), *_basis(lab)),
    )


def _basis(lab: Lab) -> tuple[str, ...]:
    """What decides the answers and their grades, but for the evidence."""
    return tuple(repr(lab.config[group]) for group in ("generator", "quality", "router"))


def _earned(lab: Lab, table: Table) -> Float[np.ndarray, "Q A"]:
    shelf = open_shelf(lab.encoder, lab.progress)
    generator = wiring.build(lab.config["generator"], "generator").open(Tools(shelf, lab.progress))
    quality = wiring.build(lab.config["quality"], "quality")
    shown = wiring.build(lab.config["router"], "router").always.passages
    out = np.empty(table.reward.shape)
    for number, whole in enumerate(lab.dataset.collections):
        own = np.flatnonzero(table.domain == number)
        collection = replace(whole, queries=tuple(table.queries[row] for row in own))
        desk = Desk(
            generator,
            quality,
            shelf,
            bake.identity(lab.encoder.identity(whole), *_basis(lab)),
            lab.encoder.passages(whole, lab.progress),
        )
        baked, every, actions = table.baked[whole.domain], len(whole.queries), len(table.labels)
        ranked = np.stack(
            [
                bake.rankings(baked, table.actions, np.full(every, action), shown)[table.rows[own]]
                for action in range(actions)
            ],
            axis=1,
        )
        evidence = of_rankings(collection, ranked)
        scored = answer_bake.score(collection, collection.queries, evidence, desk, CACHE / "answers", lab.progress)
        out[own] = np.nan_to_num(scored.groundedness, nan=0.0)
    return out
