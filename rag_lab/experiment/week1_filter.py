"""Week 1's part on the feedback filter: latency, throughput, workers, decisions, and what it saves a bandit."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from rag_lab import replay, wiring
from rag_lab.experiment import feedback_effect, filtering, live, week1_verdicts
from rag_lab.experiment.feedback_effect import Effect, Trial
from rag_lab.experiment.filtering import REFERENCE
from rag_lab.experiment.lab import Lab, tabulate
from rag_lab.experiment.part import Part
from rag_lab.experiment.variants import standing
from rag_lab.experiment.week1_verdicts import Measure, Timed
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd
from rag_lab.l4_feedback.policy import Setting
from rag_lab.metrics import interval, latency

FEW, MANY = 100, 1000  # items, as the targets name them
HEADLINE_NOISE = 0.3  # at which filter/precision and filter/recall are given
ONE_PROCESS = ("scalar", "vectorized", "jax")

Count = Annotated[int, Field(ge=1)]
Items = Annotated[int, Field(ge=5, multiple_of=5, le=4_000_000)]  # five readers of every answer


class Filtering(NamedTuple):
    """Settings. repeats: of FEW and of MANY items; decisions: how many batches of how many items are compared with
    the reference's; workers, pool_items, pool_rounds: of the pool, in turn with the kernel.
    """

    repeats: Count
    decisions: dict[Items, Count]
    workers: tuple[Annotated[int, Field(ge=1, le=8)], ...]
    pool_items: tuple[Items, ...]
    pool_rounds: Annotated[int, Field(ge=2)]


class Loop(NamedTuple):
    """Settings of the bandit that learns from readers. noises: shares of dishonest users; update_every: queries of a
    domain between two updates; the others: see `channel.Crowd`."""

    noises: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    seeds: Annotated[int, Field(ge=2)]
    queries_per_domain: Count
    users: Count
    readers: Count
    update_every: Count
    window: Count
    step_s: Annotated[float, Field(gt=0)]


def measure(lab: Lab, settings: Filtering, resamples: int) -> Part:
    """Latency, throughput, workers and decisions; the treatment is the filter that the run has chosen."""
    chosen = lab.choices["filter"]
    filters = {name: filtering.build(name, lab) for name in dict.fromkeys((*ONE_PROCESS, chosen))}
    try:
        metrics: dict[str, float] = {}
        measures: dict[str, Measure | str] = {}
        curve: dict[str, Any] = {}
        taken = {items: filtering.time_calls(filters, items, settings.repeats, lab) for items in (FEW, MANY)}
        drawn = latency.places(settings.repeats, resamples, lab.seed)
        for items, target_id in ((FEW, "w1.filter_p95"), (MANY, "w1.filter_1000")):
            draws = {name: latency.percentiles(each, drawn) for name, each in taken[items].items()}
            found = {name: each.intervals() for name, each in draws.items()}
            change = latency.change(draws[chosen], draws[REFERENCE])["p95"]
            for share, one in found[chosen].items():
                metrics |= interval.metrics(f"filter/latency_ms_{items}_{share}", one)
                metrics |= interval.metrics(f"filter/baseline_latency_ms_{items}_{share}", found[REFERENCE][share])
            metrics |= interval.metrics(f"filter/latency_change_{items}", change)
            timed = Timed(found[chosen]["p95"], found[REFERENCE]["p95"], change, settings.repeats)
            measures[target_id] = week1_verdicts.latency(target_id, timed, f"batches of {items:,} items")
            curve[str(items)] = {
                name: {share: list(one) for share, one in each.items()} for name, each in found.items()
            }

        pools = filtering.pools(filters[chosen], settings.workers, settings.pool_items, settings.pool_rounds, lab)
        most = max(pools)
        rounds = {MANY: taken[MANY][chosen], most: pools[most][0]}
        rates = {
            items: interval.median(
                1000 * items / each, interval.resampled(len(each), seed=lab.seed, resamples=resamples)
            )
            for items, each in rounds.items()
        }
        for items, one in rates.items():
            metrics |= interval.metrics(f"filter/items_per_s_{items}", one)
        measures["w1.filter_throughput"] = week1_verdicts.throughput(rates)
        measures["w1.filter_workers"] = week1_verdicts.workers(pools, lab.seed, resamples)
        for count, each in pools[most].items():
            if count:
                metrics[f"filter/pool_{count}_items_per_s"] = float(1000 * most / np.median(each))

        agreed = filtering.decisions(
            {name: each for name, each in filters.items() if name != REFERENCE or name == chosen},
            settings.decisions,
            lab,
        )
        measures["w1.filter_accuracy"] = week1_verdicts.decisions(agreed, chosen, lab.seed, resamples)
    finally:
        for each in filters.values():
            each.close()
    for name, target_id in (
        ("items_per_s", "w1.filter_throughput"),
        ("workers", "w1.filter_workers"),
        ("equal_decisions", "w1.filter_accuracy"),
    ):
        decided = measures[target_id]
        if isinstance(decided, Measure):
            metrics |= interval.metrics(f"filter/{name}", decided.found)
    return Part(metrics, {"filters": {"chosen": chosen, "latency_ms": curve, "pool": _pool_curve(pools)}}, measures, [])


def effect(lab: Lab, setting: Setting, settings: Loop) -> Part:
    """The bandit's regret with and without the chosen filter, at rising shares of users who are not honest."""
    table = tabulate(lab, [live.ACTIONS], {"recall": 1.0})
    world = table.world(live.ACTIONS, true_domain=False, rows=table.part(test=False))
    policy = wiring.build(standing("thompson"), "policy")
    trial = Trial(
        policy=policy,
        state=policy.init(setting),
        world=world,
        stream=replay.streams(lab.seed, settings.seeds, world.domain, settings.queries_per_domain),
        crowd=Crowd(settings.users, settings.readers, settings.window, settings.step_s, users.BEHAVIOUR),
        kinds=users.NOISY,
        update_every=settings.update_every,
    )
    found = feedback_effect.effect(trial, settings.noises, filtering.settings(lab), seed=lab.seed)
    metrics: dict[str, float] = {}
    for level in found.levels:
        percent = round(100 * level.noise)
        for name in ("without", "filtered", "saved"):
            metrics |= interval.metrics(f"filter/regret_{name}_{percent}", getattr(level, name))
        if level.noise == HEADLINE_NOISE:
            given = {"precision": level.precision, "recall": level.recall, "f1": level.f1}
            metrics |= {f"filter/{name}": value for name, value in given.items() if value is not None}
    return Part(metrics, {"effect": _effect_curve(found, lab.choices["filter"], settings)}, {}, [])


def _pool_curve(pools: dict[int, Any]) -> dict[str, dict[str, float]]:
    """Items a second by number of items and of workers; "0" is the kernel alone."""
    return {
        str(items): {str(count): float(1000 * items / np.median(each)) for count, each in taken.items()}
        for items, taken in pools.items()
    }


def _effect_curve(found: Effect, chosen: str, settings: Loop) -> dict[str, Any]:
    return {
        "filter": chosen,
        "seeds": settings.seeds,
        "queries_per_domain": settings.queries_per_domain,
        "levels": [
            level._asdict() | {name: list(getattr(level, name)) for name in ("without", "filtered", "saved")}
            for level in found.levels
        ],
    }
