"""The frozen baseline on the frozen request stream: where an answer's time goes before anything is optimised.

Its numbers are kept in reports/perf-baseline.json too, so that they can be looked up without a run. Comparisons
are always made with the baseline played again in the same run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.experiment import answers, live, profile, summary
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.latency import play
from rag_lab.experiment.readers import Crowd, Readers
from rag_lab.experiment.stream import EXPONENT, LENGTH, SEED, frozen
from rag_lab.experiment.summary import Findings
from rag_lab.experiment.variants import standing
from rag_lab.metrics import latency
from rag_lab.metrics.targets import TARGETS, not_measured
from rag_lab.pipeline import Pipeline

BASELINE = "baseline"
KEPT = Path("reports/perf-baseline.json")
HELD_AGAINST = "this run is the baseline; +experiment=week1 holds the optimised stages against it"


class Baseline(NamedTuple):
    """The experiment's settings; see conf/experiment/baseline.yaml."""

    name: str
    question: str
    requests: int
    crowd: Crowd
    window: int
    resamples: int

    def check(self, lab: Lab) -> None:
        """ConfigError where the stages are not the frozen ones, or nothing can be answered live."""
        for group, name in live.frozen().items():
            if lab.config[group] != standing(name, group=group):
                raise ConfigError(
                    f"{group}={lab.choices[group]}: the baseline is frozen with {group}={name} as its file says; "
                    "measure other stages by +experiment=week1"
                )
        live.check(lab, live.chosen_nodes(lab))

    def execute(self, lab: Lab) -> Findings:
        """Run it."""
        given = live.materials(lab)
        requests = frozen(lab.dataset, self.requests)
        stages = live.stages(given, live.chosen_nodes(lab), self.window)
        pipelines = {BASELINE: Pipeline(stages, given.setting, lab.seed, BASELINE)}
        readers = partial(Readers, lab.dataset, self.crowd, len(requests), lab.seed)
        with lab.progress("answer", 2 * len(requests), "requests") as bar:
            played = play(pipelines, requests, readers, bar)
        stages.filter.close()
        answers.write(lab, played)

        drawn = latency.places(len(requests), self.resamples, lab.seed)
        profiles = {name: one.profile(drawn) for name, one in played.items()}
        metrics = profile.metrics(played[BASELINE], profiles[BASELINE])
        curve = profile.curve(played, profiles)
        facts: dict[str, Any] = {
            "experiment": self.name,
            "stages": live.frozen() | {"encoder": lab.choices["encoder"]},
            "stream": {"length": LENGTH, "exponent": EXPONENT, "seed": SEED, "answers": len(requests)},
            "config_hash": summary.config_hash(lab.config),
            "metrics": metrics,
            "percentiles": curve["variants"][BASELINE],
        }
        keep(lab, facts)
        return summary.NOTHING._replace(
            metrics=metrics,
            variants={BASELINE: metrics},
            targets=[
                not_measured(target, HELD_AGAINST if target.id.startswith("w1.") else target.absent)
                for target in TARGETS
            ],
            curves={"profile": curve, "headline": profile.sentence(metrics)},
            notes=[
                *lab.dataset.notes,
                *profile.notes(played, len(requests)),
                f"Kept in {KEPT} too.",
            ],
        )


def keep(lab: Lab, facts: Mapping[str, Any]) -> None:
    """Write the numbers, with what they depend on."""
    document = {
        **facts,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": summary.device(),
        "versions": summary.versions(),
        "git": summary.git(),
        "seed": lab.seed,
        "data_fingerprint": lab.dataset.fingerprint,
    }
    summary.write_json(KEPT, document)


def build(
    *,
    name: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")],
    question: str,
    requests: Annotated[int, Field(ge=1, le=LENGTH)],
    crowd: Crowd,
    window: Annotated[int, Field(ge=1)],
    resamples: Annotated[int, Field(ge=100)],
) -> Any:
    """The experiment.

    requests: how many of the frozen stream are answered; crowd: who reads the answers; window: latest items of
    feedback that the filter judges together; resamples: of the block bootstrap.
    """
    return Baseline(name, question, requests, crowd, window, resamples)
