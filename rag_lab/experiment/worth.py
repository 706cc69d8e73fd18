"""What a router is worth beside single actions: hull, hypervolume, cost at equal quality; and the verdicts.

Shapes: M = 3 measures (cost per 1,000, quality, diversity), Q test queries, P points, R resamples. Arrays of R + 1
hold the value itself first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from rag_lab.metrics import economy, interval
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.significance import Resampler
from rag_lab.metrics.targets import TARGETS, Judged, measured, not_measured, verdict

Measures = Float[np.ndarray, "M Q"]
Points = Float[np.ndarray, "M R+1 P"]


class Worth(NamedTuple):
    """Metrics with intervals, what the figures draw, and what must be known of them."""

    metrics: dict[str, float]
    curves: dict[str, Any]
    notes: list[str]


def measure(
    resampler: Resampler,
    singles: Mapping[str, Measures],
    swept: Mapping[str, Measures],
    treatment: Measures,
    reference: Measures,
    dearest: float,
) -> Worth:
    """singles: of every action for all queries; swept: of the treatment under other preferences; reference: of the
    best single action; dearest: the reference point's cost per 1,000.
    """
    named = {**swept, "treatment": treatment}
    router, alone, base = (points(resampler, each) for each in (named, singles, {"reference": reference}))
    (cost, quality, _), (cost_base, quality_base, _) = router[..., -1], base[..., 0]
    costs, qualities, _ = np.concatenate([router, base], axis=2)
    cost_alone, quality_alone, _ = alone
    mixed = economy.cost_at_quality(cost_alone, quality_alone, np.minimum(quality, quality_alone.max(axis=-1)))
    found = {
        "pareto/hypervolume": economy.hypervolume(economy.shares(router, dearest)),
        "pareto/hypervolume_singles": economy.hypervolume(economy.shares(alone, dearest)),
        "economy/cost_change": cost / cost_base - 1,
        "economy/quality_change": quality - quality_base,
        "economy/cost_against_mix": cost / mixed - 1,
        "economy/cost_at_equal_quality": economy.cost_at_quality(costs, qualities, quality_base) / cost_base - 1,
        "economy/quality_at_equal_cost": economy.quality_at_cost(costs, qualities, cost_base) - quality_base,
    }
    metrics: dict[str, float] = {}
    for name, (value, *draws) in found.items():
        metrics |= interval.metrics(name, interval.around(float(value), np.array(draws)))
    hulls = {"router": _hull([*named], router), "singles": _hull([*singles], alone)}
    notes = [
        f"Hypervolume is the share of the box from no cost, quality 1 and diversity 1 to the reference point: cost "
        f"{dearest:.3g} USD per 1,000 (the dearest action's on train), quality 0, diversity 0.",
        "Cost at equal quality and quality at equal cost are of the best mix of two preferences, or of one and the "
        "best single action; where no mix helps they are 0.",
        "Cost against mix is what looking at queries saves: the router's cost beside that of the cheapest mix of two "
        "single actions of the same quality, found in hindsight on these test queries: "
        f"{metrics['economy/cost_against_mix']:+.1%}.",
    ]
    return Worth(metrics, {"hulls": hulls}, notes)


def points(resampler: Resampler, variants: Mapping[str, Measures]) -> Points:
    """The variants' means over domains, and their resamples."""
    each = [[economy.mean(resampler.estimate(row[None])) for row in measures] for measures in variants.values()]
    return np.moveaxis(np.array(each), 0, 2)


def _hull(names: list[str], points: Points) -> list[dict[str, Any]]:
    """The corners, the cheapest first."""
    cost, quality, _ = points[:, 0]
    return [
        {"name": names[one], "cost": cost[one], "quality": quality[one]} for one in economy.hull(cost, quality).tolist()
    ]


def judge(found: Mapping[str, tuple[Interval, str] | str]) -> list[Judged]:
    """Every target of the roadmap. found: what this run measured, with what must be known of it, or why it did not."""
    rows = []
    for target in TARGETS:
        one = found.get(target.id, target.absent)
        if isinstance(one, str):
            rows.append(not_measured(target, one))
        else:
            value, why = one
            says = verdict(target.target, target.at_least, value.low, value.high)
            rows.append(measured(target, *value, says, why))
    return rows
