"""From a lab to what routers are compared on: every query answered under every action, graded and priced.

Retrieval is the same for all actions, at balanced weights: what an action changes is which of its candidates are
shown, and who answers. Only queries with a reference answer take part, since quality needs one.

Shapes: Q queries, A actions, N candidates of a query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Int
from pydantic import Field

from rag_lab import bake, wiring
from rag_lab.answer_bake import Desk
from rag_lab.answer_bake.evidence import of_actions
from rag_lab.answer_bake.routing import limits, outcomes, score_tiers
from rag_lab.economy.actions import Action, Space
from rag_lab.economy.outcomes import Outcomes, joined
from rag_lab.encoder.reading import open_shelf
from rag_lab.errors import ConfigError
from rag_lab.experiment import retrieved
from rag_lab.experiment.lab import CACHE, Lab, Table
from rag_lab.experiment.routed import Material
from rag_lab.l1_retrieval import actions as retrieval
from rag_lab.l3_answer.generator import Stage, Tools

Count = Annotated[int, Field(ge=1)]


class Grid(NamedTuple):
    """The router's action space but for its tiers; see `economy.actions.Action`."""

    passages: Annotated[tuple[Count, ...], Field(min_length=1)]
    mmr: Annotated[tuple[Annotated[float, Field(ge=0, le=1)], ...], Field(min_length=1)]
    context_tokens: Annotated[tuple[Count, ...], Field(min_length=1)]


class Bounded(Stage, Protocol):
    """A generator's settings that say how long an answer may be."""

    @property
    def max_tokens(self) -> int:
        """The most tokens of an answer."""
        ...


class Offer(NamedTuple):
    """What is on offer. nodes: by tier, its generator's configuration; candidates: passages of a query, the best
    found, that evidence is chosen from.
    """

    nodes: Mapping[str, Mapping[str, Any]]
    grid: Grid
    candidates: int

    def actions(self) -> tuple[Action, ...]:
        """The action space."""
        return Space(tuple(self.nodes), *self.grid).actions()

    def check(self, lab: Lab) -> None:
        """ConfigError where a tier has no price or no bounded generator, or a domain no reference answers."""
        for tier in self.nodes:
            if tier not in lab.prices.generators:
                known = ", ".join(lab.prices.generators)
                raise ConfigError(
                    f"experiment.routing.tiers.{tier}: prices={lab.choices['prices']} prices only {known}"
                )
            self._stage(tier)
        for one in lab.dataset.collections:
            for split in ("train", "test"):
                if not any(query.answer and query.split == split for query in one.queries):
                    raise ConfigError(
                        f"domain '{one.domain}' has no {split} query with a reference answer, which quality is "
                        "measured by; leave the domain out, or add answers to its queries"
                    )

    def _stage(self, tier: str) -> Bounded:
        stage = wiring.build(self.nodes[tier], f"experiment.routing.tiers.{tier}")
        if not hasattr(stage, "max_tokens"):
            raise ConfigError(
                f"experiment.routing.tiers.{tier}: this generator does not bound its answers, so nobody knows the most "
                "that one can cost; give generator@experiment.routing.tiers.<tier>=extractive"
            )
        return stage

    def collect(self, lab: Lab, table: Table) -> Material:
        """Answer, grade and price what is not kept yet; the queries in the order of the table."""
        actions, shelf = self.actions(), open_shelf(lab.encoder, lab.progress)
        quality, tools = wiring.build(lab.config["quality"], "quality"), Tools(shelf, lab.progress)
        stages = {tier: self._stage(tier) for tier in self.nodes}
        opened = {tier: stage.open(tools) for tier, stage in stages.items()}
        referenced = np.array([bool(query.answer) for query in table.queries])
        usd = lab.prices.retrieval_usd(retrieval.read("balanced", [{"alpha": [retrieved.BALANCED]}]), table.tokens)
        parts: list[tuple[Int[np.ndarray, " n"], Outcomes]] = []
        for number, whole in enumerate(lab.dataset.collections):
            rows = np.flatnonzero(referenced & (table.domain == number))
            collection = replace(whole, queries=tuple(table.queries[row] for row in rows))
            vectors = lab.encoder.passages(collection, lab.progress)
            hits = retrieved.search(lab, collection, self.candidates)
            evidence = of_actions(collection, actions, hits.passage, hits.score, vectors, shelf.count)
            basis = (lab.encoder.identity(whole), repr(lab.config["quality"]))
            desks = {
                tier: Desk(opened[tier], quality, shelf, bake.identity(*basis, repr(self.nodes[tier])), vectors)
                for tier in self.nodes
            }
            scored = score_tiers(
                collection, collection.queries, actions, evidence, desks, CACHE / "answers", lab.progress
            )
            most = {tier: limits(collection.queries, shelf.count, stage.max_tokens) for tier, stage in stages.items()}
            features = table.features[rows].astype(np.float32)
            parts.append((rows, outcomes(scored, actions, lab.prices, usd[rows, 0], features, most)))
        order = np.concatenate([rows for rows, _ in parts])
        return Material(
            domains=lab.dataset.domains,
            queries=tuple(table.queries[row].id for row in order),
            domain=table.domain[order],
            context=table.context[order],
            cluster=table.cluster[order],
            test=table.test[order],
            actions=actions,
            outcomes=joined([part for _, part in parts]),
        )
