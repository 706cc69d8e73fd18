"""How far the check of support, and the extractive generator's refusals, can be trusted: measured, and calibrated.

The check is held against reference answers beside evidence that supports them and evidence, or words, that do not
(`experiment.grounds`); a refusal against evidence without a relevant passage and questions without an answer
(`experiment.refusals`). Calibration sees train queries; all that is reported is of test queries, with intervals
over their clusters. The document goes to reports/groundedness/<data>.json and .md. On data=packaged its
`calibrated` is what conf/quality/frozen.yaml and conf/generator/extractive.yaml hold; on other data it tells what
their own train queries would have given.

Shapes: N claims or cases, G signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from rag_lab import wiring
from rag_lab.assets import atomic
from rag_lab.encoder.reading import open_shelf
from rag_lab.errors import ConfigError
from rag_lab.experiment import grounds, refusals, summary
from rag_lab.experiment.grounds import BESIDE, KINDS, TRUE, Grounds
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.refusals import Cases
from rag_lab.experiment.summary import Findings
from rag_lab.kernels.support import Head
from rag_lab.l3_answer.extractive import Extractive
from rag_lab.metrics import heads
from rag_lab.metrics.answer import Quality
from rag_lab.metrics.clustered import Draws, Interval, area, share
from rag_lab.metrics.support import probabilities
from rag_lab.report import groundedness as report
from rag_lab.types import Query

REPORTS = Path("reports/groundedness")
ALL = "all"
FEWEST = 30  # train examples of a kind, below which nothing is calibrated on them
Share = Annotated[float, Field(gt=0, lt=1)]


class BenchGroundedness(NamedTuple):
    """The experiment's settings; see conf/experiment/bench_groundedness.yaml."""

    name: str
    question: str
    questions_per_domain: int
    evidence: int
    shown: tuple[int, ...]
    fooled: float
    refusal_precision: float
    draws: Draws

    def check(self, lab: Lab) -> None:
        """ConfigError where the generator chosen is not the extractive one, whose refusals are measured."""
        self._stages(lab)

    def execute(self, lab: Lab) -> Findings:
        """Collect, calibrate, measure, write."""
        quality, generator = self._stages(lab)
        shelf = open_shelf(lab.encoder, lab.progress)
        claims, cases = [], []
        for number, collection in enumerate(lab.dataset.collections):
            random = np.random.default_rng([lab.seed, number])
            claims.append(grounds.collect(collection, shelf, self.evidence, self.questions_per_domain, random))
            cases.append(refusals.collect(lab, collection, shelf, self.shown))
        support, silence = _Claims(lab.dataset.domains, claims), _Silences(lab.dataset.domains, cases)
        own_support = support.calibrate(self.fooled)
        own_refusal = silence.calibrate(self.refusal_precision)
        document = {
            "name": "groundedness",
            "data": {"name": lab.choices["data"], **summary.describe(lab.dataset)},
            "device": summary.device(),
            "versions": summary.versions(),
            "git": summary.git(),
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seed": lab.seed,
            "settings": {
                "questions_per_domain": self.questions_per_domain,
                "evidence": self.evidence,
                "shown": self.shown,
                "fooled": self.fooled,
                "refusal_precision": self.refusal_precision,
                **self.draws._asdict(),
            },
            "support": {"head": quality.support._asdict(), **support.measure(quality.support, self.draws)},
            "refusal": {"head": generator.refusal._asdict(), **silence.measure(generator.refusal, self.draws)},
            "calibrated": {
                "support": None if own_support is None else own_support._asdict(),
                "refusal": None if own_refusal is None else own_refusal._asdict(),
            },
            "with_own_head": None if own_support is None else support.measure(own_support, self.draws),
        }
        return _publish(document)

    def _stages(self, lab: Lab) -> tuple[Quality, Extractive]:
        generator = wiring.build(lab.config["generator"], "generator")
        if not isinstance(generator, Extractive):
            raise ConfigError(
                f"generator={lab.choices['generator']}: this experiment measures the refusals of the extractive "
                f"one; give generator=extractive"
            )
        return wiring.build(lab.config["quality"], "quality"), generator


class _Claims:
    """The claims of all domains in one row of arrays."""

    def __init__(self, domains: Sequence[str], parts: Sequence[Grounds]) -> None:
        self.domains = domains
        self.signs = np.concatenate([part.signs for part in parts])
        self.kind = np.concatenate([part.kind for part in parts])
        self.domain = np.repeat(np.arange(len(parts)), [len(part.kind) for part in parts])
        first = np.cumsum([0, *(len(part.queries) for part in parts)])
        self.query = np.concatenate([part.query + start for part, start in zip(parts, first, strict=False)])
        test, cluster = _sides([query for part in parts for query in part.queries])
        self.test, self.cluster = test[self.query], cluster[self.query]

    def of(self, kind: str, among: Bool[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
        """Which claims are of a kind, among others."""
        return (self.kind == KINDS.index(kind)) & among

    def calibrate(self, fooled: float) -> Head | None:
        """The head that tells true claims from false ones in train, fooled by so few of those that are near."""
        train = ~self.test
        if min(self.of(kind, train).sum() for kind in ("right", "near")) < FEWEST:
            return None
        true = np.isin(self.kind, [KINDS.index(kind) for kind in TRUE])
        head = heads.fit(self.signs[train], true[train])
        return heads.rarely_fooled(head, self.signs[self.of("near", train)], fooled)

    def measure(self, head: Head, draws: Draws) -> dict[str, Any]:
        """Of test queries: areas, of whole answers and of claims; shares of claims taken for supported."""
        likely = probabilities(head, self.signs)
        areas, shares = [], []
        for name, among in _by_domain(self.domains, self.domain, self.test):
            for level, pick in (("answer", self._answers), ("claim", self._each)):
                for kind, counterpart in BESIDE.items():
                    same = np.isin(self.query, self.query[self.of(kind, among)])  # answers that were changed so
                    true, true_cluster = pick(likely, self.of(counterpart, among & same))
                    false, false_cluster = pick(likely, self.of(kind, among))
                    found = area(true, false, true_cluster, false_cluster, draws)
                    areas.append(_row(found, domain=name, level=level, kind=kind, false=len(false)))
            for kind in KINDS:
                found = share(likely >= head.threshold, self.of(kind, among), self.cluster, draws)
                shares.append(_row(found, domain=name, kind=kind))
        return {"areas": areas, "supported": shares}

    def _each(
        self, likely: Float[np.ndarray, " N"], which: Bool[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Scores and clusters of claims."""
        return likely[which], self.cluster[which]

    def _answers(
        self, likely: Float[np.ndarray, " N"], which: Bool[np.ndarray, " N"]
    ) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Scores and clusters of answers: the mean over their claims."""
        queries, place = np.unique(self.query[which], return_inverse=True)
        totals = np.bincount(place, likely[which], minlength=len(queries))
        cluster = np.zeros(len(queries), int)
        cluster[place] = self.cluster[which]
        return totals / np.maximum(np.bincount(place, minlength=len(queries)), 1), cluster


class _Silences:
    """The cases of all domains in one row of arrays."""

    def __init__(self, domains: Sequence[str], parts: Sequence[Cases]) -> None:
        self.domains = domains
        self.signs = np.concatenate([part.signs for part in parts])
        self.passages = np.concatenate([part.passages for part in parts])
        self.held = np.concatenate([part.held for part in parts])
        self.answerable = np.concatenate([part.answerable for part in parts])
        self.domain = np.repeat(np.arange(len(parts)), [len(part.query) for part in parts])
        first = np.cumsum([0, *(len(part.queries) for part in parts)])
        query = np.concatenate([part.query + start for part, start in zip(parts, first, strict=False)])
        test, cluster = _sides([query for part in parts for query in part.queries])
        self.test, self.cluster = test[query], cluster[query]

    def calibrate(self, precision: float) -> Head | None:
        """The head that tells evidence with a relevant passage from evidence without, in train."""
        train = ~self.test
        if min((self.held & train).sum(), (~self.held & train).sum()) < FEWEST:
            return None
        head = heads.fit(self.signs[train], self.held[train])
        return heads.rarely_silent(head, self.signs[train], self.held[train], precision)

    def measure(self, head: Head, draws: Draws) -> dict[str, Any]:
        """How right and how complete refusals are beside the most passages; test queries."""
        likely = probabilities(head, self.signs)
        refused, rows = likely < head.threshold, []
        for name, among in _by_domain(self.domains, self.domain, self.test & (self.passages == self.passages.max())):
            silent = refused & among
            scores: Mapping[str, Interval | None] = {
                "area": area(
                    likely[self.held & among], likely[~self.held & among],
                    self.cluster[self.held & among], self.cluster[~self.held & among], draws,
                ),
                "evidence_precision": share(~self.held, silent, self.cluster, draws),
                "evidence_recall": share(refused, ~self.held & among, self.cluster, draws),
                "unanswerable_precision": share(~self.answerable, silent, self.cluster, draws),
                "unanswerable_recall": share(refused, ~self.answerable & among, self.cluster, draws),
                "answerable_refused": share(refused, self.answerable & among, self.cluster, draws),
            }  # fmt: skip
            rows += [_row(found, domain=name, score=score) for score, found in scores.items()]
        return {"passages": int(self.passages.max()), "scores": rows}


def _sides(queries: Sequence[Query]) -> tuple[Bool[np.ndarray, " Q"], Int[np.ndarray, " Q"]]:
    """Which queries are in test, and the clusters of all, numbered over domains and splits."""
    names = [f"{query.domain}\0{query.split}\0{query.cluster}" for query in queries]
    return np.array([query.split == "test" for query in queries]), np.unique(names, return_inverse=True)[1]


def _by_domain(
    domains: Sequence[str], domain: Int[np.ndarray, " N"], among: Bool[np.ndarray, " N"]
) -> Iterator[tuple[str, Bool[np.ndarray, " N"]]]:
    """All domains together, then each."""
    yield ALL, among
    if len(domains) > 1:
        for number, name in enumerate(domains):
            yield name, among & (domain == number)


def _row(found: Interval | None, **labels: Any) -> dict[str, Any]:
    """A row of the document; a null where there was nothing to measure."""
    return {**labels, **(dict.fromkeys(Interval._fields) if found is None else found._asdict())}


def _publish(document: Mapping[str, Any]) -> Findings:
    """Write the document; the run keeps it in its `curves.json`."""
    stem = REPORTS / str(document["data"]["name"])
    summary.write_json(stem.with_suffix(".json"), document)
    with atomic.write(stem.with_suffix(".md")) as temporary:
        temporary.write_text(report.markdown(document), encoding="utf-8")
    metrics = {
        f"groundedness/{row['kind']}_auc": row["value"]
        for row in document["support"]["areas"]
        if (row["domain"], row["level"]) == (ALL, "answer") and row["value"] is not None
    }
    metrics |= {
        f"refusal/{row['score']}": row["value"]
        for row in document["refusal"]["scores"]
        if row["domain"] == ALL and row["value"] is not None
    }
    notes = [*report.sentences(document), f"Written to {stem}.json and .md."]
    return summary.NOTHING._replace(metrics=metrics, curves={"groundedness": document}, notes=notes)


def build(
    *,
    name: str,
    question: str,
    questions_per_domain: Annotated[int, Field(ge=2)],
    evidence: Annotated[int, Field(ge=1)],
    shown: tuple[Annotated[int, Field(ge=1)], ...],
    fooled: Share,
    refusal_precision: Share,
    resamples: Annotated[int, Field(ge=100)],
    seed: int,
) -> Any:
    """The experiment. questions_per_domain, evidence: at most so many, the passages being the best judged; shown:
    passages that refusals are calibrated beside, the most being those reported; fooled: share of claims beside
    near but wrong evidence that the calibrated head may take for supported; refusal_precision: least share of
    calibrated refusals that are right; resamples, seed: of the intervals.
    """
    return BenchGroundedness(
        name, question, questions_per_domain, evidence, shown, fooled, refusal_precision, Draws(resamples, seed)
    )
