"""Where an answer's time goes, stage by stage, as metrics, as the curve that reports draw, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rag_lab.experiment.latency import STAGES, Played
from rag_lab.metrics import interval
from rag_lab.metrics.latency import Draws

Profile = Mapping[str, Draws]  # by stage


def metrics(played: Played, profile: Profile) -> dict[str, float]:
    """The contract's latency_ms/<stage>_<percentile> with intervals; throughput of one answer after the other."""
    out: dict[str, float] = {}
    for stage, draws in profile.items():
        for share, found in draws.intervals().items():
            out |= interval.metrics(f"latency_ms/{stage}_{share}", found)
    out["throughput/queries_per_s"] = 1000 * len(played.replies) / float(played.traces_ms["e2e"].sum())
    out["warm_up_s"] = played.warm_up_s
    return out


def curve(played: Mapping[str, Played], profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """Every variant's percentiles with their intervals, by stage."""
    return {
        "stages": list(next(iter(profiles.values()))),
        "answers": {name: len(one.replies) for name, one in played.items()},
        "variants": {
            name: {
                stage: {share: list(found) for share, found in draws.intervals().items()}
                for stage, draws in profile.items()
            }
            for name, profile in profiles.items()
        },
    }


def sentence(found: Mapping[str, float]) -> str:
    """What a reader wants to know first."""
    stages = {stage: found[f"latency_ms/{stage}_p50"] for stage in STAGES if stage != "e2e"}
    most = max(stages, key=stages.__getitem__)
    return (
        f"Half of all answers take at most {found['latency_ms/e2e_p50']:.3g} ms end to end, 95% at most "
        f"{found['latency_ms/e2e_p95']:.3g} ms; most of it is {most} ({stages[most]:.3g} ms)."
    )


def notes(played: Mapping[str, Played], requests: int) -> list[str]:
    """What a reader must know beside the numbers."""
    warm = ", ".join(f"{name} {one.warm_up_s:.1f} s" for name, one in played.items())
    return [
        f"{requests:,} requests of the frozen stream, answered one after the other. Warm: every query was asked "
        f"once before, compilation included, which took {warm}.",
        "Readers are simulated from judgments; their reading takes no part in any latency.",
    ]
