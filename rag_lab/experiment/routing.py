"""The question of the economy: what does it bring to choose, for every query, how much to spend on its answer?

Every router learns from the train queries' baked outcomes, then routes every test query; what it spent and what that
brought is compared with the best single action, paired and by cluster. The treatment is also played under a sweep of
preferences, from cost alone to quality alone: its points against those of the single actions are what routing is worth.

Shapes: Q queries (of train and test, those with every score), A actions, F features, M = 3 objectives.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from rag_lab.economy.front import nondominated
from rag_lab.experiment import worth
from rag_lab.experiment.lab import COST
from rag_lab.experiment.routed import (
    QUALITY,
    REFERENCE,
    WASTED,
    Game,
    Material,
    Plan,
    believed,
    single,
    three,
)
from rag_lab.experiment.summary import Findings
from rag_lab.metrics import interval
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.significance import Comparison, Estimate, Pair, Resampler, compare


def judge(game: Game, plan: Plan) -> Findings:
    """What the routers spent on the test queries and what that brought, compared."""
    test, played = game.test, game.played
    resampler = Resampler(test.domain, test.cluster, seed=plan.seed, resamples=plan.resamples)
    estimates = {
        (name, metric): resampler.estimate(values[None])
        for name, one in played.items()
        for metric, values in one.values.items()
        if np.isfinite(values).all()
    }
    treatment = played[plan.treatment]
    found = worth.measure(
        resampler,
        singles={action.label: single(number, test) for number, action in enumerate(test.actions)},
        swept={name: three(one) for name, one in game.swept.items()},
        treatment=three(treatment),
        reference=three(played[REFERENCE]),
        dearest=float(game.setting.train.cost_usd.mean(axis=0).max()) * 1000,
    )
    metrics = {name: _metrics(test, name, one.values, estimates) for name, one in played.items()}
    metrics[plan.treatment] |= found.metrics
    return Findings(
        metrics=metrics[plan.treatment],
        variants=metrics,
        comparisons=_comparisons(test, resampler, game, estimates, plan.treatment),
        targets=worth.judge(_verdicts(game, plan.treatment, estimates.get((plan.treatment, WASTED)))),
        curves={"economy": _curves(game, found, plan.treatment), "treatment": plan.treatment},
        notes=[*game.notes, *treatment.router.notes(treatment.state, game.setting), *found.notes],
        tags={},
        baseline=REFERENCE,
    )


def _verdicts(game: Game, treatment: str, waste: Estimate | None) -> dict[str, tuple[Interval, str] | str]:
    """The router's two targets: that its fronts are right, and that it keeps to them."""
    if game.fronts is None or waste is None:
        return {}
    found: dict[str, tuple[Interval, str] | str] = {
        "w2.pareto_waste": (
            interval.around(float(waste.value[-1]), waste.draws[:, -1]),
            "by what the router believed of each test query",
        )
    }
    if importlib.util.find_spec("moocore") is None:
        return found | {"w2.pareto_exact": "needs moocore to hold fronts against; pip install 'rag-lab[peers]'"}
    import moocore

    objectives = believed(game.played[treatment], game.test).astype(np.float64)
    theirs = [moocore.is_nondominated(each, keep_weakly=True) for each in objectives]
    share = float((np.array(theirs) == game.fronts).all(axis=1).mean())
    why = f"share of {len(theirs)} test queries on which moocore finds the same front"
    return found | {"w2.pareto_exact": (Interval(share, share, share), why)}


def _metrics(
    test: Material,
    name: str,
    scores: Mapping[str, Float[np.ndarray, " Q"]],
    estimates: Mapping[tuple[str, str], Estimate],
) -> dict[str, float]:
    """A router's metrics on test, per domain and mean, with intervals; where some answers have no score, the mean of
    those that do, and how many they are.
    """
    prefixes = [*(f"{domain}/" for domain in test.domains), ""]
    out: dict[str, float] = {}
    for metric, values in scores.items():
        estimate = estimates.get((name, metric))
        if estimate is None:
            out |= _partial(metric, values, test)
            continue
        for column, prefix in enumerate(prefixes):
            found = interval.around(float(estimate.value[column]), estimate.draws[:, column])
            out |= interval.metrics(f"{prefix}{metric}", found)
    return out


def _partial(metric: str, values: Float[np.ndarray, " Q"], test: Material) -> dict[str, float]:
    """Means of what has a score; left out where a domain has none."""
    each = [values[(test.domain == number) & np.isfinite(values)] for number in range(len(test.domains))]
    if not all(map(len, each)):
        return {}
    means = [float(scored.mean()) for scored in each]
    found = {f"{domain}/{metric}": mean for domain, mean in zip(test.domains, means, strict=True)}
    return {**found, metric: float(np.mean(means)), f"{metric}_n": float(sum(map(len, each)))}


def _comparisons(
    test: Material,
    resampler: Resampler,
    game: Game,
    estimates: Mapping[tuple[str, str], Estimate],
    treatment: str,
) -> list[Comparison]:
    """Primary: the treatment's quality against the best single action's. Exploratory: quality and cost against all."""
    counts = np.bincount(test.domain, minlength=len(test.domains)).tolist()

    def family(name: str, metric: str, others: list[str]) -> list[Comparison]:
        values = {one: game.played[one].values[metric][None] for one in (treatment, *others)}
        pairs = [
            Pair(
                metric, treatment, other, values[treatment], values[other],
                estimates[treatment, metric], estimates[other, metric],
            )
            for other in others
        ]  # fmt: skip
        return compare(resampler, name, pairs, test.domains, counts, mean=True) if pairs else []

    others = [name for name in game.played if name != treatment]
    return [
        *family("primary", QUALITY, [REFERENCE] if treatment != REFERENCE else []),
        *family("exploratory quality", QUALITY, others),
        *family("exploratory cost", COST, others),
    ]


def _curves(game: Game, found: worth.Worth, treatment: str) -> dict[str, Any]:
    """What the figures draw: every action's means, which of them stand, and what each preference chose."""
    test = game.test
    domains = [test.domain == number for number in range(len(test.domains))]
    every = np.stack([single(number, test) for number in range(len(test.actions))])
    means = np.mean([every[..., own].mean(axis=-1) for own in domains], axis=0)
    signed = (means * np.array([1, -1, -1])).astype(np.float32)
    shown = {**game.swept, "as configured": game.played[treatment]}
    return {
        "labels": [action.label for action in test.actions],
        "tiers": [action.tier for action in test.actions],
        "objectives": means,
        "front": nondominated(signed),
        "steps": [
            {"label": name, "share": np.bincount(one.routed.action, minlength=len(means)) / len(test.queries)}
            for name, one in shown.items()
        ],
        "start": len(shown) - 1,
        **found.curves,
    }
