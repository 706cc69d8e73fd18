"""Week 1's part on domain detection: latency of one, throughput in batches, labels, quality, the GPU's use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from rag_lab.experiment import detectors, week1_verdicts
from rag_lab.experiment.detectors import Asked, Batching, Judged
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.live import Materials
from rag_lab.experiment.part import Part
from rag_lab.experiment.week1_verdicts import Measure, Timed
from rag_lab.l2_domain.signature import Fitted
from rag_lab.metrics import interval, latency
from rag_lab.metrics.detection import Quality
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.significance import Resampler
from rag_lab.telemetry.machine import GPU, Watch

EASY = "easy"


class Detection(NamedTuple):
    """Settings. queries: at most so many are asked one by one; batches: their sizes; rounds: of throughput, all
    sizes in turn; busy_s: how long the machine is watched while it detects; precision: the share of answers that
    must be right when detectors are let to hold back.
    """

    queries: Annotated[int, Field(ge=1)]
    batches: tuple[Annotated[int, Field(ge=2, le=4096)], ...]
    rounds: Annotated[int, Field(ge=2)]
    busy_s: Annotated[float, Field(gt=0)]
    precision: Annotated[float, Field(gt=0, le=1)]


def measure(
    lab: Lab, given: Materials, baseline: Fitted, treatment: Fitted, settings: Detection, resamples: int
) -> Part:
    """All of it; the treatment is the detector that the run has chosen."""
    asked = detectors.sets(lab.dataset)
    single = _one_by_one(lab, baseline, treatment, asked[EASY], settings, resamples)
    many, best = _in_batches(lab, baseline, treatment, asked[EASY], settings, resamples)
    busy = _busy(lab, treatment, asked[EASY], best, settings, resamples)
    labels = _labels(lab, baseline, treatment, asked[EASY], resamples)
    judged, skipped = detectors.judge_all(lab, given, asked, settings.precision, resamples)
    quality = Part(
        metrics=_quality_metrics(judged, lab.choices["detector"]),
        curves={"detectors": _quality_curve(judged, skipped, lab, settings.precision)},
        measures={},
        notes=[f"detector={name} has no figures: {why}" for name, why in skipped.items()]
        + ([] if "hard" in asked else [detectors.NO_HARD_SET]),
    )
    return Part.together([single, many, busy, labels, quality])


def _one_by_one(
    lab: Lab, baseline: Fitted, treatment: Fitted, asked: Asked, settings: Detection, resamples: int
) -> Part:
    order = np.random.default_rng(lab.seed).permutation(len(asked.texts))[: settings.queries]
    texts = [asked.texts[place] for place in order]
    taken = detectors.one_by_one({"baseline": baseline, "treatment": treatment}, texts, lab)
    drawn = latency.places(len(texts), resamples, lab.seed)
    draws = {name: latency.percentiles(each, drawn) for name, each in taken.items()}
    found = {name: each.intervals() for name, each in draws.items()}
    change = latency.change(draws["treatment"], draws["baseline"])
    metrics: dict[str, float] = {}
    for share, one in found["treatment"].items():
        metrics |= interval.metrics(f"detector/latency_ms_{share}", one)
        metrics |= interval.metrics(f"detector/baseline_latency_ms_{share}", found["baseline"][share])
    metrics |= interval.metrics("detector/latency_change", change["p95"])
    timed = Timed(found["treatment"]["p95"], found["baseline"]["p95"], change["p95"], len(texts))
    measures = {"w1.detect_p95": week1_verdicts.latency("w1.detect_p95", timed, "real queries, text in, label out")}
    return Part(metrics, {}, measures, [])


def _in_batches(
    lab: Lab, baseline: Fitted, treatment: Fitted, asked: Asked, settings: Detection, resamples: int
) -> tuple[Part, int]:
    """Throughput; and the best batch."""
    found = detectors.in_batches(baseline, treatment, asked.texts, settings.batches, settings.rounds, lab)
    drawn = interval.resampled(settings.rounds, seed=lab.seed, resamples=resamples)
    speedups = {size: interval.median(rate / found.sequential, drawn) for size, rate in found.batched.items()}
    rates = {1: interval.median(found.sequential, drawn)}
    rates |= {size: interval.median(rate, drawn) for size, rate in found.batched.items()}
    best, at_best = best_batch(found, lab.seed, resamples)
    metrics = interval.metrics("detector/batch_speedup", at_best) | {"detector/best_batch": float(best)}
    for size, one in speedups.items():
        metrics |= interval.metrics(f"detector/batch_{size}_speedup", one)
    for size, one in rates.items():
        metrics |= interval.metrics(f"detector/queries_per_s_batch_{size}", one)
    curve = {
        "queries_per_s": {str(size): list(one) for size, one in rates.items()},
        "speedup": {str(size): list(one) for size, one in speedups.items()},
        "best": best,
    }
    measures: dict[str, Measure | str] = {"w1.detect_batch": week1_verdicts.batching(best, speedups, at_best)}
    return Part(metrics, {"batching": curve}, measures, []), best


def best_batch(found: Batching, seed: int, resamples: int) -> tuple[int, Interval]:
    """The best batch and its speed-up: every other round chooses, the rest measure, so that luck wins nothing."""
    ratio = {size: rate / found.sequential for size, rate in found.batched.items()}
    best = max(ratio, key=lambda size: float(np.median(ratio[size][::2])))
    rest = ratio[best][1::2]
    return best, interval.median(rest, interval.resampled(len(rest), seed=seed, resamples=resamples))


def _busy(lab: Lab, treatment: Fitted, asked: Asked, size: int, settings: Detection, resamples: int) -> Part:
    with Watch() as watch:
        detectors.keep_busy(treatment, asked.texts, size, settings.busy_s)
    measure = week1_verdicts.gpu(watch.series(GPU), watch.absent, lab.seed, resamples)
    return Part(watch.means(), {}, {"w1.gpu_util": measure}, [])


def _labels(lab: Lab, baseline: Fitted, treatment: Fitted, asked: Asked, resamples: int) -> Part:
    paired = detectors.paired(treatment(asked.texts), baseline(asked.texts), asked.truth)
    resampler = Resampler(asked.truth, asked.cluster, seed=lab.seed, resamples=resamples)
    by_domain = resampler.estimate(paired.gain[None].astype(float)).draws[:, :-1]
    draws = by_domain @ (np.bincount(asked.truth) / len(asked.truth))
    measure = week1_verdicts.accuracy(paired, draws)
    equal = 1 - (paired.differing - paired.tied) / len(paired.gain)
    metrics = interval.metrics("detector/accuracy_gained", measure.found) | {"detector/equal_labels": equal}
    return Part(metrics, {}, {"w1.detect_accuracy": measure}, [])


def _quality_metrics(judged: Mapping[str, Judged], chosen: str) -> dict[str, float]:
    """`detector/<variant>/<set>/…`, and the chosen one's on the easy set by the contract's names."""
    metrics: dict[str, float] = {}
    for name, one in judged.items():
        for place, quality in one.quality.items():
            each = _numbers(quality)
            metrics |= {f"detector/{name}/{place}/{key}": value for key, value in each.items()}
            if name == chosen and place == EASY:
                metrics |= {f"detector/{key}": value for key, value in each.items()}
        for place, quality in one.silent.items():
            given = {
                "abstain_precision": quality.abstain_precision,
                "abstain_recall": quality.abstain_recall,
                "abstain_answered": quality.answered,
            }
            metrics |= {f"detector/{name}/{place}/{key}": value for key, value in given.items() if value is not None}
    return metrics


def _numbers(quality: Quality) -> dict[str, float]:
    return {
        **interval.metrics("accuracy", quality.accuracy),
        **interval.metrics("macro_f1", quality.macro_f1),
        "calibration_error": quality.calibration_error,
    }


def _quality_curve(
    judged: Mapping[str, Judged], skipped: Mapping[str, str], lab: Lab, precision: float
) -> dict[str, Any]:
    def plain(found: Mapping[str, Quality]) -> dict[str, Any]:
        return {
            place: {
                **quality._asdict(),
                "accuracy": list(quality.accuracy),
                "macro_f1": list(quality.macro_f1),
                "confusion": quality.confusion.tolist(),
            }
            for place, quality in found.items()
        }

    return {
        "domains": list(lab.dataset.domains),
        "chosen": lab.choices["detector"],
        "asked_precision": precision,
        "variants": {
            name: {"quality": plain(one.quality), "silent": plain(one.silent)} for name, one in judged.items()
        },
        "skipped": dict(skipped),
    }
