"""The question of the economy, as an experiment: is it worth choosing, for every query, what to spend on its answer?

Bake every action's answer to every query, let the routers learn on train, and hold them against each other on test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from rag_lab import wiring
from rag_lab.economy.actions import place
from rag_lab.economy.choice import lattice
from rag_lab.economy.router import Router
from rag_lab.experiment import routing
from rag_lab.experiment.answers import write_parquet
from rag_lab.experiment.lab import COST, Lab, Table, tabulate
from rag_lab.experiment.offers import Grid, Offer
from rag_lab.experiment.routed import REFERENCE, Game, Plan, play_all
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import standing

WHERE = "experiment.routing"  # its place in the configuration
TARGETS, WORTH = "w2.pareto_", ("pareto/", "economy/")  # what other experiments take over
FEATURES_FROM = "alpha"  # the action set that is tabulated: queries' features and detected domains come with any


class Routing(NamedTuple):
    """What is routed, and by whom.

    tiers: by name of the price table, the generator that answers; actions: what is combined with them; candidates:
    the best passages found, that evidence is chosen from; references: routers that `router` is held against,
    best_single among them; sweep_steps: preferences under which it is played again are all shares of 1/sweep_steps.
    """

    tiers: Annotated[Mapping[str, Mapping[str, Any]], Field(min_length=1)]
    actions: Grid
    candidates: Annotated[int, Field(ge=1)]
    references: tuple[str, ...]
    sweep_steps: Annotated[int, Field(ge=1, le=20)]

    def check(self, lab: Lab) -> None:
        """ConfigError where a router or a generator cannot be built, a router's one action is not on offer, or a
        domain has no reference answers.
        """
        for name, router in self._routers(lab).items():
            if router.always is not None:
                where = "router" if name == lab.choices["router"] else f"{WHERE}.references.{name}"
                place(self._offer().actions(), router.always, where)
        self._offer().check(lab)

    def judge(self, lab: Lab, table: Table, resamples: int) -> tuple[Findings, Game]:
        """Bake what is on offer, let the routers play, and hold them against each other."""
        material = self._offer().collect(lab, table)
        treatment = lab.choices["router"]
        plan = Plan(treatment, self._routers(lab), lattice(self.sweep_steps), resamples, lab.seed)
        lab.events.emit("declared", treatment=treatment, reference=REFERENCE)
        game = play_all(material, plan)
        found = routing.judge(game, plan)
        unreferenced = len(table.queries) - len(material.queries)
        notes = [f"{unreferenced} queries have no reference answer and are not routed."] if unreferenced else []
        return found._replace(notes=[*notes, *found.notes]), game

    def beside(self, lab: Lab, table: Table, found: Findings, resamples: int) -> Findings:
        """What another experiment found, with the router's verdicts, figures and worth beside it."""
        own, _ = self.judge(lab, table, resamples)
        judged = {row.id: row for row in own.targets if row.id.startswith(TARGETS)}
        worth = {name: value for name, value in own.metrics.items() if name.startswith(WORTH)}
        return found._replace(
            metrics={**found.metrics, **worth},
            targets=[judged.get(row.id, row) for row in found.targets],
            curves={**found.curves, "economy": own.curves["economy"]},
            notes=[*found.notes, *own.notes],
        )

    def _offer(self) -> Offer:
        return Offer(self.tiers, self.actions, self.candidates)

    def _routers(self, lab: Lab) -> dict[str, Router]:
        """The treatment, then the references, each once."""
        nodes = {lab.choices["router"]: lab.config["router"]}
        for name in self.references:
            nodes.setdefault(name, standing(name, f"{WHERE}.references", "router"))
        return {name: wiring.build(node, "router") for name, node in nodes.items()}


class Economy(NamedTuple):
    """The experiment's settings; see conf/experiment/economy.yaml."""

    name: str
    question: str
    routing: Routing
    resamples: int

    def check(self, lab: Lab) -> None:
        """ConfigError where nothing can be routed; costs nothing, so it comes before all work."""
        self.routing.check(lab)
        for collection in lab.dataset.collections:
            lab.encoder.check(collection, lab.progress)

    def execute(self, lab: Lab) -> Findings:
        """Run it."""
        table = tabulate(lab, [FEATURES_FROM], {"recall": 1.0})
        found, game = self.routing.judge(lab, table, self.resamples)
        write_parquet(lab.folder / "per_query.parquet", per_query(game))
        return found


def per_query(game: Game) -> pa.Table:
    """One row for each router and test query: what was shown, what it cost, how good it was."""
    test, parts = game.test, []
    detected = [*test.domains, None]
    for name, one in game.played.items():
        count = len(test.queries)
        parts.append(
            pa.table(
                {
                    "query_id": test.queries,
                    "domain": [test.domains[number] for number in test.domain],
                    "detected_domain": pa.array([detected[number] for number in test.context], pa.string()),
                    "split": ["test"] * count,
                    "variant": [name] * count,
                    "latency_ms": pa.nulls(count, pa.float64()),  # not measured by a replay
                    "cost_usd": one.values[COST] / 1000,
                    "action": [test.actions[number].label for number in one.routed.action],
                    "cluster": test.cluster,
                    **{
                        metric.replace("/", "_"): pa.array(values, pa.float64(), mask=~np.isfinite(values))
                        for metric, values in one.values.items()
                        if metric != COST
                    },
                }
            )
        )
    return pa.concat_tables(parts)


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    routing: Routing,
    resamples: Annotated[int, Field(ge=100)],
) -> Any:
    """The experiment. routing: see `Routing`; resamples: of the intervals."""
    return Economy(name, question, routing, resamples)
