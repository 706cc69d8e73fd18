"""The question of week 2: does a policy that learns α online beat the best fixed α that the same budget buys?

Bake once; let every variant learn or be tuned on train; freeze; compare on test, paired and corrected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from rag_lab import bake, replay, study
from rag_lab.economy.prices import Prices
from rag_lab.errors import ConfigError
from rag_lab.experiment import curves, outputs, verdicts
from rag_lab.experiment.lab import CALLS, COST, MRR, NDCG, RECALL, STUDIES, Lab, Table, tabulate
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import Variant, candidates, run_all, standing
from rag_lab.l4_feedback.policy import Budget, Ceiling, Policy, Setting
from rag_lab.metrics.significance import Comparison, Estimate, Pair, Resampler, compare

Tune = Callable[[bool, Budget], Int[np.ndarray, " C"]]
REPORTED = (RECALL, NDCG, MRR, COST, CALLS)
COMPARED = (RECALL, NDCG)


class Adaptive(NamedTuple):
    """The experiment's settings; see conf/experiment/week2.yaml."""

    name: str
    question: str
    seeds: int
    logged_seeds: int
    queries_per_domain: int
    resamples: int
    ranking_depth: int
    primary_references: tuple[str, ...]

    def check(self, lab: Lab) -> None:
        """ConfigError where a policy cannot start on this data; costs nothing, so it comes before all work."""
        for name in self.primary_references:
            standing(name, "experiment.primary_references")
        for collection in lab.dataset.collections:
            lab.encoder.check(collection, lab.progress)
        bake.check(lab.retriever, lab.actions, lab.progress)
        setting = self._setting(lab, lambda per_domain, budget: np.zeros(len(lab.dataset.domains) + 1, np.int64))
        for one in candidates(lab.choices["policy"], lab.config["policy"], lab.config["references"]):
            if isinstance(one.policy, Policy):
                one.policy.init(setting)

    def execute(self, lab: Lab) -> Findings:
        """Run it; files go to the run's folder as they become ready."""
        table = tabulate(lab)
        tuner = self._tuner(lab, table)
        setting = self._setting(lab, lambda per_domain, budget: tuner(per_domain, budget).actions)
        train = table.part(test=False)
        stream = train[replay.streams(lab.seed, self.seeds, table.domain[train], self.queries_per_domain)]
        named = candidates(lab.choices["policy"], lab.config["policy"], lab.config["references"])
        treatment = named[0].name
        variants = run_all(named, setting, table, stream, lab.seed)
        lab.events.emit("learned", variants=list(variants), seeds=self.seeds)

        test = table.part(test=True)
        resampler = Resampler(table.domain[test], table.cluster[test], seed=lab.seed, resamples=self.resamples)
        estimates = {
            (name, metric): resampler.estimate(one.values(table, metric)[:, test])
            for name, one in variants.items()
            for metric in REPORTED
        }
        reference = self._decisive(variants, table, treatment)
        comparisons = self._compare(lab, table, resampler, variants, estimates, treatment, reference)
        learning = curves.learning(variants, setting, table, stream, lab.seed, treatment)

        metrics = {name: self._metrics(lab, name, estimates) for name in variants}
        for name, one in learning.metrics.items():
            metrics[name] |= one
        closed = verdicts.gap_closed(estimates, treatment, reference)
        metrics[treatment] |= closed
        spoken = table.context < len(lab.dataset.domains)
        accuracy = {"detector/accuracy": float((table.context[test] == table.domain[test]).mean())}
        overall = metrics[treatment] | (accuracy if spoken.any() else {})
        judged = verdicts.Measured(
            treatment=treatment,
            reference=reference,
            estimates=estimates,
            comparisons=comparisons,
            convergence=learning.convergence,
            domains=lab.dataset.domains,
            cost_changes=self._cost_changes(lab, table, variants, treatment),
            fewest_clusters=resampler.fewest_clusters,
            gap_closed=closed,
        )
        outputs.write(lab, table, variants, treatment, setting, stream[: self.logged_seeds], self.ranking_depth)
        return Findings(
            metrics=overall,
            variants=metrics,
            comparisons=comparisons,
            targets=verdicts.judge(judged),
            curves=curves.collect(lab, table, variants, stream, learning, resampler, treatment, setting),
            notes=self._notes(lab, table, variants, reference),
            tags={
                name: {"optuna.study": ",".join(tuner(one.node["per_domain"], one.node["budget"]).studies)}
                for name, one in variants.items()
                if "budget" in one.node
            },
            baseline=reference,
        )

    def _tuner(self, lab: Lab, table: Table) -> Callable[[bool, Budget], study.Tuned]:
        """Tuning sees train rewards only, and does each search once."""
        train = table.part(test=False)
        material = study.Train(
            table.metrics[RECALL][train], table.domain[train], lab.actions.alpha, table.identity
        )
        search = lab.search(self.queries_per_domain, lab.seed)
        return cache(lambda per_domain, budget: study.tune(STUDIES, material, search, per_domain, budget))

    def _setting(self, lab: Lab, tune: Tune) -> Setting:
        """What every policy is started with."""
        domains, presets = lab.dataset.domains, lab.config["presets"]
        if "otherwise" not in presets:
            raise ConfigError(f"presets: given {dict(presets)}; needed is 'otherwise'; give presets.otherwise=0.5")
        believed = [float(presets.get(domain, presets["otherwise"])) for domain in (*domains, "otherwise")]
        return Setting(domains, lab.actions.alpha, np.array(believed), tune)

    def _decisive(self, variants: dict[str, Variant], table: Table, treatment: str) -> str | None:
        """The better, on train, of the declared primary references; ties to the one declared first."""
        train = table.part(test=False)
        present = [name for name in self.primary_references if name in variants and name != treatment]

        def mean(name: str) -> float:
            values = variants[name].values(table, RECALL)[:, train].mean(axis=0)
            return float(np.mean([values[table.domain[train] == one].mean() for one in np.unique(table.domain)]))

        return max(present, key=mean) if present else None

    def _compare(
        self,
        lab: Lab,
        table: Table,
        resampler: Resampler,
        variants: dict[str, Variant],
        estimates: dict[tuple[str, str], Estimate],
        treatment: str,
        reference: str | None,
    ) -> list[Comparison]:
        """The primary family, then one exploratory family a metric: the treatment against every reference."""
        test = table.part(test=True)
        counts = np.bincount(table.domain[test]).tolist()

        def pairs(metric: str, names: Sequence[str]) -> list[Pair]:
            def values(name: str) -> Float[np.ndarray, "S Q"]:
                return variants[name].values(table, metric)[:, test]

            return [
                Pair(
                    metric, treatment, name, values(treatment), values(name),
                    estimates[treatment, metric], estimates[name, metric],
                )
                for name in names
            ]  # fmt: skip

        against = [
            name
            for name, one in variants.items()
            if name != treatment and not isinstance(one.policy, Ceiling) and not one.true_domain
        ]
        domains = lab.dataset.domains
        rows: list[Comparison] = []
        if reference is not None:
            rows += compare(resampler, "primary", pairs(RECALL, [reference]), domains, counts, mean=False)
        for metric in COMPARED:
            if against:
                family = f"exploratory {metric.removeprefix('retrieval/')}"
                rows += compare(resampler, family, pairs(metric, against), domains, counts, mean=True)
        return rows

    def _metrics(self, lab: Lab, name: str, estimates: dict[tuple[str, str], Estimate]) -> dict[str, float]:
        """A variant's metrics on test, per domain and mean, with intervals."""
        out: dict[str, float] = {}
        for metric in REPORTED:
            estimate = estimates[name, metric]
            for column, prefix in enumerate([*(f"{domain}/" for domain in lab.dataset.domains), ""]):
                low, high = estimate.interval(column)
                out[f"{prefix}{metric}"] = float(estimate.value[column])
                # float32's resamples of a constant may miss it by a rounding
                out[f"{prefix}{metric}_ci_low"] = min(low, out[f"{prefix}{metric}"])
                out[f"{prefix}{metric}_ci_high"] = max(high, out[f"{prefix}{metric}"])
        return out

    def _cost_changes(
        self, lab: Lab, table: Table, variants: dict[str, Variant], treatment: str
    ) -> tuple[float, ...]:
        """The treatment's relative cost change against α = 0.5, with each price at half and at twice."""
        if verdicts.BALANCED not in variants:
            return ()
        test = table.part(test=True)

        def cost(name: str, prices: Prices) -> float:
            actions = variants[name].actions[RECALL][:, test]
            values = prices.retrieval_usd(lab.actions, table.tokens[test])[np.arange(len(test)), actions].mean(
                axis=0
            )
            return float(np.mean([values[table.domain[test] == one].mean() for one in np.unique(table.domain)]))

        return tuple(
            cost(treatment, prices) / cost(verdicts.BALANCED, prices) - 1 for prices in lab.prices.scaled()
        )

    def _notes(self, lab: Lab, table: Table, variants: dict[str, Variant], reference: str | None) -> list[str]:
        """What a reader must know beside the numbers."""
        notes = list(lab.dataset.notes)
        test = table.part(test=True)
        for number, domain in enumerate(lab.dataset.domains):
            clusters = len(np.unique(table.cluster[test[table.domain[test] == number]]))
            if clusters < verdicts.FEW_CLUSTERS:
                notes.append(
                    f"{domain} has {clusters} clusters of test queries: too few for any interval to mean much."
                )
        if table.unjudged:
            notes.append(f"{table.unjudged} queries without a relevant passage are left out of ranking metrics.")
        if any(one.path is not None for one in variants.values()):
            notes.append(
                "A bandit without context can at best tie the better tuned static on a stationary stream; "
                "regret and convergence say what its exploration cost."
            )
        notes.append(
            "Reward is recall@10 from judgments, without noise. Costs are of retrieval alone: no answers yet."
        )
        if reference is not None:
            notes.append(f"The reference that decides is {reference}: the better of its kind on train.")
        return notes


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    seeds: Annotated[int, Field(ge=2, le=100_000)],
    logged_seeds: Annotated[int, Field(ge=1)],
    queries_per_domain: Annotated[int, Field(ge=1)],
    resamples: Annotated[int, Field(ge=100)],
    ranking_depth: Annotated[int, Field(ge=10)],
    primary_references: tuple[str, ...],
) -> Any:
    """The experiment.

    seeds: independent bandits; logged_seeds: how many of them have their decisions written; queries_per_domain:
    length of a stream in each domain; resamples: of the bootstrap and the permutation test; ranking_depth: ranks
    written; primary_references: of these the better on train is what the treatment must beat.
    """
    return Adaptive(
        name, question, seeds, logged_seeds, queries_per_domain, resamples, ranking_depth, primary_references
    )
