"""The question of week 1: what do batching, vectorising and a GPU buy, and is anything lost?

The frozen baseline and the optimised pipeline answer the same requests in turn, in one process; then detectors and
filters are measured apart.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from rag_lab.experiment import answers, filtering, live, profile, week1_detection, week1_filter, week1_verdicts
from rag_lab.experiment.baseline import BASELINE
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import play
from rag_lab.experiment.live import Materials
from rag_lab.experiment.part import Part
from rag_lab.experiment.readers import Crowd, Readers
from rag_lab.experiment.stream import LENGTH, frozen
from rag_lab.experiment.summary import NOTHING, Findings
from rag_lab.experiment.week1_detection import Detection
from rag_lab.experiment.week1_filter import Filtering, Loop
from rag_lab.experiment.week1_verdicts import Timed
from rag_lab.metrics import interval, latency
from rag_lab.pipeline import Pipeline, Stages

OPTIMISED = "optimised"


class Week1(NamedTuple):
    """The experiment's settings; see conf/experiment/week1.yaml."""

    name: str
    question: str
    requests: int
    crowd: Crowd
    window: int
    resamples: int
    detection: Detection
    filtering: Filtering
    loop: Loop

    def check(self, lab: Lab) -> None:
        """ConfigError where a pipeline cannot be made of the stages chosen, or the filter judges nothing."""
        live.check(lab, live.baseline_nodes())
        live.check(lab, live.chosen_nodes(lab))
        filtering.settings(lab)

    def execute(self, lab: Lab) -> Findings:
        """Run it."""
        given = live.materials(lab)
        arms = {
            BASELINE: live.stages(given, live.baseline_nodes(), self.window),
            OPTIMISED: live.stages(given, live.chosen_nodes(lab), self.window),
        }
        answered, variants = self._answers(lab, given, arms)
        detectors = arms[BASELINE].detector, arms[OPTIMISED].detector
        found = Part.together(
            [
                answered,
                week1_detection.measure(lab, given, *detectors, self.detection, self.resamples),
                week1_filter.measure(lab, self.filtering, self.resamples),
                week1_filter.effect(lab, given.setting, self.loop),
            ]
        )
        return NOTHING._replace(
            metrics=found.metrics,
            variants=variants,
            targets=week1_verdicts.judge(found.measures),
            curves={**found.curves, "treatment": OPTIMISED, "headline": headline(found)},
            notes=[*lab.dataset.notes, *found.notes],
            baseline=BASELINE,
        )

    def _answers(self, lab: Lab, given: Materials, arms: dict[str, Stages]) -> tuple[Part, dict[str, dict[str, float]]]:
        """Both pipelines on the same requests in turn; and each one's metrics."""
        requests = frozen(lab.dataset, self.requests)
        pipelines = {name: Pipeline(stages, given.setting, lab.seed, name) for name, stages in arms.items()}
        readers = partial(Readers, lab.dataset, self.crowd, len(requests), lab.seed)
        try:
            with lab.progress("answer", 2 * len(requests), "requests") as bar:
                played = play(pipelines, requests, readers, bar)
        finally:
            for stages in arms.values():
                stages.filter.close()
        answers.write(lab, played)

        drawn = latency.places(len(requests), self.resamples, lab.seed)
        profiles = {name: one.profile(drawn) for name, one in played.items()}
        variants = {name: profile.metrics(played[name], profiles[name]) for name in played}
        metrics = dict(variants[OPTIMISED])
        for stage, draws in profiles[OPTIMISED].items():
            change = latency.change(draws, profiles[BASELINE][stage])
            for share, one in change.items():
                metrics |= interval.metrics(f"latency_change/{stage}_{share}", one)
        metrics["equal_answers"] = answers.same(played[OPTIMISED].replies, played[BASELINE].replies)
        e2e = {name: each["e2e"] for name, each in profiles.items()}
        timed = Timed(
            e2e[OPTIMISED].intervals()["p95"],
            e2e[BASELINE].intervals()["p95"],
            latency.change(e2e[OPTIMISED], e2e[BASELINE])["p95"],
            len(requests),
        )
        what = f"answers by the {lab.choices['generator']} generator"
        notes = [
            *profile.notes(played, len(requests)),
            f"{metrics['equal_answers']:.0%} of the answers equal the baseline's, passage for passage.",
        ]
        measures = {"w1.e2e_p95": week1_verdicts.latency("w1.e2e_p95", timed, what)}
        return Part(metrics, {"profile": profile.curve(played, profiles)}, measures, notes), variants


def headline(found: Part) -> str:
    """What a reader wants to know first, from the run's own numbers."""
    one = found.metrics
    saved = [name for name in one if name.startswith("filter/regret_saved_") and "_ci_" not in name]
    most = max(saved, key=lambda name: int(name.rsplit("_", 1)[1]))
    return (
        f"Batches of {one['detector/best_batch']:.0f} detect {one['detector/batch_speedup']:.2g} times as many "
        "queries a second as one at a time. Against the frozen baseline, at the 95th percentile: one detection "
        f"{one['detector/latency_change']:+.0%}, filtering 100 items {one['filter/latency_change_100']:+.0%}, an "
        f"answer {one['latency_change/e2e_p95']:+.0%} of time. {one['detector/equal_labels']:.1%} of labels, "
        f"{one['filter/equal_decisions']:.1%} of filter decisions and {one['equal_answers']:.1%} of answers are "
        f"equal. Among {most.rsplit('_', 1)[1]}% dishonest users the filter saves a bandit {one[most]:.3g} of "
        f"{one[most.replace('saved', 'without')]:.3g} regret."
    ).replace("-", "−")


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    requests: Annotated[int, Field(ge=1, le=LENGTH)],
    crowd: Crowd,
    window: Annotated[int, Field(ge=1)],
    resamples: Annotated[int, Field(ge=100)],
    detection: Detection,
    filtering: Filtering,
    loop: Loop,
) -> Any:
    """The experiment.

    requests: how many of the frozen stream both pipelines answer; crowd: who reads the answers; window: latest
    items of feedback that a filter judges together; resamples: of every bootstrap; detection, filtering, loop:
    settings of the parts, explained there.
    """
    return Week1(name, question, requests, crowd, window, resamples, detection, filtering, loop)
