"""The question of week 3: does remembering pay, and does it change an answer?

The same requests go through the same pipeline with each cache and with none, in turn, in one process, on a virtual
clock of one request a second. What a cache does over skew, length, bound and lives is swept beside it, whether
values end on time is seen on the store itself, and what serving near questions alike does, by the judgments.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from rag_lab import wiring
from rag_lab.cache.counters import Snapshot
from rag_lab.cache.layering import Cache, Nothing, Opener
from rag_lab.cache.neighbours import Terms
from rag_lab.errors import ConfigError
from rag_lab.experiment import (
    answers,
    cache_expiry,
    cache_semantic,
    cache_sweeps,
    live,
    profile,
    week1_verdicts,
    week3_verdicts,
)  # fmt: skip
from rag_lab.experiment.cache_expiry import Expiry
from rag_lab.experiment.cache_sweeps import Sweeps
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import Played
from rag_lab.experiment.stream import LENGTH, Request, frozen, test_queries
from rag_lab.experiment.summary import NOTHING, Findings
from rag_lab.experiment.variants import standing
from rag_lab.experiment.week3_verdicts import NONE, Arm
from rag_lab.metrics import latency
from rag_lab.pipeline import Pipeline
from rag_lab.telemetry.current import unmeasured

WINDOW = 1  # nobody gives feedback here


class Clock:
    """The virtual time, in seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """What time it is."""
        return self.now_s


class Week3(NamedTuple):
    """The experiment's settings; see conf/experiment/week3.yaml."""

    name: str
    question: str
    requests: int
    beside: tuple[str, ...]
    resamples: int
    sweeps: Sweeps
    expiry: Expiry
    pairs: int

    def check(self, lab: Lab) -> None:
        """ConfigError where no pipeline can be made of the stages chosen, or nothing is to be remembered."""
        live.check(lab, self._nodes(lab))
        if not isinstance(wiring.build(lab.config["cache"], "cache"), Opener):
            raise ConfigError(
                f"cache={lab.choices['cache']}: this experiment measures a cache; give cache=memory, embedded or redis"
            )

    def execute(self, lab: Lab) -> Findings:
        """Run it."""
        treatment = str(lab.choices["cache"])
        given, nodes = live.materials(lab), self._nodes(lab)
        requests, clock = frozen(lab.dataset, self.requests), Clock()
        openers = {name: self._opener(lab, name) for name in dict.fromkeys((treatment, *self.beside))}
        with ExitStack() as opened:
            caches: dict[str, Cache | Nothing] = {NONE: Nothing()}
            caches |= {name: opened.enter_context(opener.open(clock)) for name, opener in openers.items()}
            pipelines = {
                name: Pipeline(
                    live.stages(given, nodes, WINDOW, cache, _terms(lab, cache)), given.setting, lab.seed, name
                )
                for name, cache in caches.items()
            }
            with lab.progress("answer", len(requests), "requests") as bar:
                played, counted = play(pipelines, caches, requests, clock, bar)
        with lab.progress("watch values end", 1, "caches") as bar:
            late_s = cache_expiry.lateness(openers[treatment], self.expiry)
            bar.advance()
        answers.write(lab, played)

        drawn = latency.places(len(requests), self.resamples, lab.seed)
        profiles = {name: one.profile(drawn) for name, one in played.items()}
        rules = openers[treatment].layering
        arms = {
            name: Arm.of(lab, name, one, played[NONE], counted[name], requests, rules) for name, one in played.items()
        }
        variants = {
            name: profile.metrics(played[name], profiles[name]) | arm.metrics(drawn, lab.prices)
            for name, arm in arms.items()
        }
        queries = test_queries(lab.dataset)
        known = cache_sweeps.values(queries, played[NONE].replies, pipelines[NONE].stages.shown)
        swept = cache_sweeps.run(queries, known, rules, self.sweeps)
        measures = week3_verdicts.measures(arms, treatment, late_s, drawn, lab)
        expiry = {f"cache/{layer}/late_s_max": float(np.abs(each).max()) for layer, each in late_s.items()}
        return NOTHING._replace(
            metrics={**variants[treatment], **expiry},
            variants=variants,
            targets=week1_verdicts.judge(measures),
            curves={
                "profile": profile.curve(played, profiles),
                "treatment": treatment,
                "caches": {"layers": variants, "lives_s": rules.ttl_s._asdict(), "sweeps": swept},
                "semantic": cache_semantic.run(lab, rules.semantic, self.pairs),
                "headline": week3_verdicts.headline(variants, treatment),
            },
            notes=[*lab.dataset.notes, *week3_verdicts.notes(played, counted, len(requests))],
            baseline=NONE,
        )

    def _nodes(self, lab: Lab) -> live.Nodes:
        """The stages chosen; caches are opened here, not built from them."""
        return {**live.chosen_nodes(lab), "cache": standing(NONE, group="cache")}

    def _opener(self, lab: Lab, name: str) -> Opener:
        """A cache by its name, with the namespace of this run, so that it begins empty."""
        own = name == lab.choices["cache"]
        opener: Opener = wiring.build(lab.config["cache"] if own else standing(name, "beside", "cache"), "cache")
        return opener._replace(namespace=f"{opener.namespace}-{lab.folder.name}-{name}")


def _terms(lab: Lab, cache: Cache | Nothing) -> Terms | None:
    return cache_semantic.terms(lab, cache) if isinstance(cache, Cache) else None


def play(
    pipelines: Mapping[str, Pipeline],
    caches: Mapping[str, Cache | Nothing],
    requests: Sequence[Request],
    clock: Clock,
    bar: Any,
) -> tuple[dict[str, Played], dict[str, Snapshot]]:
    """Every request answered by each pipeline in turn, the first one rotating; and what each cache counted.

    Warm: every query is asked once beforehand, and then forgotten.
    """
    distinct = list({request.query.id: request.query for request in requests}.values())
    warm_up_s = {}
    for name, pipeline in pipelines.items():
        started = time.perf_counter()
        with unmeasured():
            for query in distinct:
                pipeline.respond([query])
        caches[name].flush()
        pipeline.forget()
        warm_up_s[name] = time.perf_counter() - started
    before = {name: cache.snapshot() for name, cache in caches.items()}

    gc.collect()
    names = list(pipelines)
    replies: dict[str, list[Any]] = {name: [] for name in names}
    for number, request in enumerate(requests):
        clock.now_s = request.time_s
        first = number % len(names)
        for name in names[first:] + names[:first]:
            replies[name] += pipelines[name].respond([request.query])
        bar.advance()
    counted = {}
    for name, cache in caches.items():
        now = cache.snapshot()
        layers = {layer: counts.since(before[name].layers[layer]) for layer, counts in now.layers.items()}
        counted[name] = now._replace(
            layers=layers, server_evictions=now.server_evictions - before[name].server_evictions
        )
        cache.flush()
    return {name: Played(replies[name], warm_up_s[name]) for name in names}, counted


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    requests: Annotated[int, Field(ge=1, le=LENGTH)],
    beside: tuple[Literal["memory", "embedded", "redis"], ...],
    resamples: Annotated[int, Field(ge=100)],
    sweeps: Sweeps,
    expiry: Expiry,
    pairs: Annotated[int, Field(ge=1)],
) -> Any:
    """The experiment.

    requests: how many of the frozen stream are answered with every cache and with none; beside: caches that are
    measured beside the chosen one, as their files say; resamples: of the block bootstrap; sweeps, expiry: explained
    there; pairs: test questions of each collection that paraphrases and near-opposites are made of.
    """
    return Week3(name, question, requests, beside, resamples, sweeps, expiry, pairs)
