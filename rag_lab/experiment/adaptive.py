"""The question of week 2: does a policy that learns which action pays beat the best fixed one of the same budget?

Bake once; tune every policy and reference on train; let them learn; choose on train which is put under test; only then
look at the test split, paired and corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Int
from pydantic import Field

from rag_lab import bake, replay, study, tuning
from rag_lab.errors import ConfigError
from rag_lab.experiment import (
    choice,
    curves,
    families,
    learned,
    learners,
    off_policy,
    outputs,
    robustness,
    shaken,
    told,
    verdicts,
)
from rag_lab.experiment.economy import Routing
from rag_lab.experiment.lab import RECALL, STUDIES, Lab, Table, tabulate
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import (
    PLAIN,
    Candidate,
    Settled,
    Variant,
    candidates,
    rebuilt,
    run,
    sets_of,
    standing,
    suffix,
)
from rag_lab.l4_feedback.channel import JUDGMENTS, Channel, Clicks, clicks
from rag_lab.l4_feedback.policies.learned import Learned
from rag_lab.l4_feedback.policy import Budget, Judged, Policy, Setting
from rag_lab.metrics.significance import Resampler
from rag_lab.tracking import trial


class Adaptive(NamedTuple):
    """The experiment's settings; see conf/experiment/week2.yaml."""

    name: str
    question: str
    seeds: int
    seeds_larger: int
    logged_seeds: int
    queries_per_domain: int
    resamples: int
    ranking_depth: int
    primary_references: tuple[str, ...]
    regime: Literal["judged", "clicks"]
    clicks: Clicks
    reward: Mapping[str, float]
    robustness: robustness.Plan
    label_repetitions: int
    routing: Routing

    def check(self, lab: Lab) -> None:
        """ConfigError where a policy cannot start on this data; costs nothing, so it comes before all work."""
        for name in self.primary_references:
            standing(name, "experiment.primary_references")
        for collection in lab.dataset.collections:
            lab.encoder.check(collection, lab.progress)
        if lab.choices["router"] != "fixed":
            self.routing.check(lab)
        every = self._candidates(lab)
        nothing = np.zeros(len(lab.dataset.domains) + 1, np.int64)
        for action_set in sets_of(every, tuple(lab.config["actions"])):
            bake.check(lab.retriever, lab.action_set(action_set), lab.progress)
            setting = lab.setting(action_set, lambda per_domain, budget: nothing, lab.no_judged(action_set))
            for one in every:
                if isinstance(one.policy, Policy) and action_set in one.policy.actions:
                    one.policy.init(setting)  # the sets of references follow those of the treatment

    def _candidates(self, lab: Lab) -> list[Candidate]:
        return candidates(lab.choices["policy"], lab.config["policy"], lab.config["references"])

    def execute(self, lab: Lab) -> Findings:
        """Run it; files go to the run's folder as they become ready."""
        every = self._candidates(lab)
        table = tabulate(lab, sets_of(every, tuple(lab.config["actions"])), self.reward)
        channel = JUDGMENTS if self.regime == "judged" else clicks(self.clicks)
        train = table.part(test=False)
        stream = train[replay.streams(lab.seed, self.seeds, table.domain[train], self.queries_per_domain)]
        streams = {one: stream[: self.seeds if one == PLAIN else self.seeds_larger] for one in table.sets}
        search = lab.search(self.queries_per_domain, lab.seed)
        references = {one: self._tuner(table, one, search) for one in table.sets}
        settings = {one: self._setting(lab, table, one, search, references[one]) for one in table.sets}
        materials = {one: self._material(table, one, settings[one], channel) for one in table.sets}

        @cache
        def tuned(name: str, action_set: str) -> tuning.Settled:
            node = next(one.node for one in every if one.name == name)
            return tuning.tune(STUDIES, name, node, search, materials[action_set])

        def settle(one: Candidate, action_set: str) -> Settled:
            if not one.standing:
                return Settled(one, None, None)
            node, name, worth = tuned(one.name, action_set)
            return Settled(one if name is None else rebuilt(one, node), name, worth)

        with lab.progress("learn", len(every), "policies") as bar:
            variants: dict[str, Variant] = {}
            for one in every:
                if isinstance(one.policy, Learned):
                    variants[one.name] = learned.variant(lab, table, one, self.ranking_depth)
                else:
                    variants |= run(one, settings, settle, table, streams, lab.seed, channel)
                bar.advance()
        chosen = choice.choose([one for one in every if one.treatment], settle, materials, search)
        reference = self._decisive(variants, table, chosen.treatment)
        stands = told.on_train(variants[chosen.treatment], table)
        trial.report({f"train/{metric}": value for metric, value in stands.items()}, 0)
        lab.events.emit("declared", treatment=chosen.treatment, reference=reference, train_value=dict(chosen.worth))
        found = self._findings(lab, table, variants, settings, streams, chosen, reference, references, channel)
        return found if lab.choices["router"] == "fixed" else self.routing.beside(lab, table, found, self.resamples)

    def _findings(
        self,
        lab: Lab,
        table: Table,
        variants: dict[str, Variant],
        settings: Mapping[str, Setting],
        streams: Mapping[str, Int[np.ndarray, "S T"]],
        chosen: choice.Choice,
        reference: str | None,
        references: Mapping[str, Callable[[bool, Budget], study.Tuned]],
        channel: Channel,
    ) -> Findings:
        """Everything that the test split says; nothing is chosen by it."""
        treatment = chosen.treatment
        test = table.part(test=True)
        resampler = Resampler(table.domain[test], table.cluster[test], seed=lab.seed, resamples=self.resamples)
        estimates = {
            (name, metric): resampler.estimate(one.values(table, metric)[:, test])
            for name, one in variants.items()
            for metric in told.REPORTED
        }
        comparisons = families.compare_all(
            table, resampler, variants, estimates, treatment, reference, chosen.tested, lab.dataset.domains
        )
        bandit = choice.bandit(variants, chosen)
        learning = learners.learning(variants, settings, table, streams, lab.seed, bandit, channel)

        metrics = {name: told.metrics(lab, name, estimates) for name in variants}
        for name, learned_so in learning.metrics.items():
            metrics[name] |= learned_so
        for name, one in variants.items():
            if one.chooses and not one.true_domain:
                own = self._decisive(variants, table, name)
                metrics[name] |= verdicts.gap_closed(estimates, name, own, suffix(one.set))
        closed = verdicts.gap_closed(estimates, treatment, reference, suffix(variants[treatment].set))
        spoken = table.context < len(lab.dataset.domains)
        accuracy = {"detector/accuracy": float((table.context[test] == table.domain[test]).mean())}
        judged = verdicts.Measured(
            treatment=treatment,
            action_set=variants[treatment].set,
            reference=reference,
            estimates=estimates,
            comparisons=comparisons,
            bandit=bandit,
            convergence=learning.convergence,
            domains=lab.dataset.domains,
            cost_changes=told.cost_changes(lab, table, variants, treatment),
            fewest_clusters=resampler.fewest_clusters,
            gap_closed=closed,
        )
        actor = variants[bandit or treatment]
        logged = off_policy.log(
            table, actor, settings[actor.set], streams[actor.set][: self.logged_seeds], channel, seed=lab.seed
        )
        outputs.write(lab, table, variants, logged, self.ranking_depth)
        drawn = curves.collect(lab, table, variants, streams, learning, resampler, treatment, settings, chosen.worth)
        if bandit is not None:
            drawn["off_policy"] = off_policy.judge(table, variants, logged)
        drawn |= shaken.shaken(
            lab,
            self.robustness,
            self.label_repetitions,
            self.queries_per_domain,
            table,
            settings,
            streams,
            learning.means,
        )
        return Findings(
            metrics=metrics[treatment] | (accuracy if spoken.any() else {}),
            variants=metrics,
            comparisons=comparisons,
            targets=verdicts.judge(judged),
            curves=drawn,
            notes=told.notes(lab, table, variants, chosen, reference, self.reward, self.regime),
            tags=told.tags(variants, references),
            baseline=reference,
            train=told.on_train(variants[treatment], table),
        )

    def _tuner(self, table: Table, action_set: str, search: study.Search) -> Callable[[bool, Budget], study.Tuned]:
        """Tuning sees train rewards only, and does each search once."""
        train, own = table.part(test=False), table.sets[action_set]
        labels = None if action_set == "alpha" else tuple(table.labels[one] for one in own)
        material = study.Train(
            table.reward[train][:, own], table.domain[train], table.actions.alpha[own],
            f"{table.identity} {action_set}", labels,
        )  # fmt: skip
        return cache(lambda per_domain, budget: study.tune(STUDIES, material, search, per_domain, budget))

    def _setting(
        self,
        lab: Lab,
        table: Table,
        action_set: str,
        search: study.Search,
        tuner: Callable[[bool, Budget], study.Tuned],
    ) -> Setting:
        """What every policy is started with on this action set."""
        train = table.part(test=False)

        @cache
        def judged() -> Judged:
            domains = range(len(lab.dataset.domains))
            rows = train[
                np.concatenate([study.judged_queries(table.domain[train], search, domain) for domain in domains])
            ]
            return Judged(table.features[rows], table.context[rows], table.reward[rows][:, table.sets[action_set]])

        return lab.setting(action_set, lambda per_domain, budget: tuner(per_domain, budget).actions, judged)

    def _material(self, table: Table, action_set: str, setting: Setting, channel: Channel) -> tuning.Material:
        train = table.part(test=False)
        world = table.world(action_set, true_domain=False, rows=train)
        identity = f"{table.identity} {action_set} {self.regime} {self.clicks} {sorted(self.reward.items())}"
        return tuning.Material(world, table.cluster[train], setting, channel, identity)

    def _decisive(self, variants: Mapping[str, Variant], table: Table, treatment: str) -> str | None:
        """The better, on train, of the declared references on the treatment's action set; ties to the first."""
        end = suffix(variants[treatment].set)
        present = [f"{name}{end}" for name in self.primary_references]
        present = [name for name in present if name in variants and name != treatment]
        return max(present, key=lambda name: told.on_train(variants[name], table)[RECALL]) if present else None


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    seeds: Annotated[int, Field(ge=2, le=100_000)],
    seeds_larger: Annotated[int, Field(ge=2, le=100_000)],
    logged_seeds: Annotated[int, Field(ge=1)],
    queries_per_domain: Annotated[int, Field(ge=1)],
    resamples: Annotated[int, Field(ge=100)],
    ranking_depth: Annotated[int, Field(ge=10)],
    primary_references: tuple[str, ...],
    regime: Literal["judged", "clicks"],
    clicks: Clicks,
    reward: dict[Literal["recall", "cost", "groundedness"], Annotated[float, Field(ge=0)]],
    robustness: robustness.Plan,
    label_repetitions: Annotated[int, Field(ge=2)],
    routing: Routing,
) -> Any:
    """The experiment.

    seeds: independent bandits; seeds_larger: of them, how many play on action sets other than `alpha`; logged_seeds:
    how many of them have their decisions written; queries_per_domain: length of a stream in each domain; resamples:
    of the bootstrap and the permutation test; ranking_depth: ranks written; primary_references: of these the better
    on train is what the treatment must beat. regime: what policies learn from; clicks: how readers click; reward: the
    weight of recall@10, of cost (USD per 1,000 queries, taken away) and of groundedness. robustness: see its Plan;
    without policies nothing is shaken. label_repetitions: searches whose mean tells what a label buys. routing:
    what a router other than `fixed` chooses from.
    """
    if reward.get("groundedness"):
        raise ConfigError("experiment.reward.groundedness: there are no answers in this experiment yet; give 0")
    return Adaptive(
        name, question, seeds, min(seeds, seeds_larger), logged_seeds, queries_per_domain, resamples, ranking_depth,
        primary_references, regime, clicks, {str(part): weight for part, weight in reward.items()},
        robustness, label_repetitions, routing,
    )  # fmt: skip
