"""The question of the economy: what does it bring to choose, for every query, how much to spend on its answer?

Every router learns from the train queries' baked outcomes, then routes every test query; what it spent and what that
brought is compared with the best single action, paired and by cluster. The treatment is also played under a sweep of
preferences, from cost alone to quality alone: its points against those of the single actions are what routing is worth.

Shapes: Q queries (of train and test, those with every score), A actions, F features, M = 3 objectives.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.economy import replay
from rag_lab.economy.actions import Action
from rag_lab.economy.choice import Preference
from rag_lab.economy.estimates import objectives
from rag_lab.economy.front import nondominated
from rag_lab.economy.outcomes import Outcomes
from rag_lab.economy.replay import Routed
from rag_lab.economy.router import Asked, Router, Setting, State
from rag_lab.errors import ConfigError
from rag_lab.experiment import worth
from rag_lab.experiment.lab import COST
from rag_lab.experiment.summary import Findings
from rag_lab.kernels import pareto
from rag_lab.metrics import interval
from rag_lab.metrics.economy import wasted
from rag_lab.metrics.interval import Interval
from rag_lab.metrics.significance import Comparison, Estimate, Pair, Resampler, compare

QUALITY, DIVERSITY = "answer/quality", "diversity/evidence"
WASTED, HINDSIGHT = "pareto/wasted_share", "pareto/wasted_share_in_hindsight"
REFERENCE = "best_single"
_fronts = jax.jit(jax.vmap(pareto.nondominated))


class Material(NamedTuple):
    """What routers are compared on. Rows are queries.

    context: the detected domain's index, or the number of domains where it is unknown; cluster: within domain and
    split; test: the split. outcomes: rows without every score take no part, and are counted.
    """

    domains: tuple[str, ...]
    queries: tuple[str, ...]
    domain: Int[np.ndarray, " Q"]
    context: Int[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]
    test: Bool[np.ndarray, " Q"]
    actions: tuple[Action, ...]
    outcomes: Outcomes

    def part(self, test: bool) -> Material:
        """The queries of one split that have every score."""
        rows = np.intersect1d(np.flatnonzero(self.test == test), self.outcomes.scored())
        return Material(
            self.domains,
            tuple(self.queries[row] for row in rows),
            self.domain[rows],
            self.context[rows],
            self.cluster[rows],
            self.test[rows],
            self.actions,
            self.outcomes.part(rows),
        )


class Plan(NamedTuple):
    """What is played. routers: by name, the treatment among them, and best_single; sweep: preferences under which the
    treatment is played again, if it can be, by their names.
    """

    treatment: str
    routers: Mapping[str, Router]
    sweep: Mapping[str, Preference]
    resamples: int
    seed: int


class Played(NamedTuple):
    """A router that has learned and routed every test query. values: by metric, NaN where there is none."""

    router: Router
    state: State
    routed: Routed
    values: Mapping[str, Float[np.ndarray, " Q"]]


def investigate(material: Material, plan: Plan) -> Findings:
    """Learn, route, compare. ConfigError where the reference is missing, a router cannot start, or a domain has no
    test query with every score.
    """
    if REFERENCE not in plan.routers:
        raise ConfigError(f"the routers lack '{REFERENCE}', which the others are held against; add it to them")
    train, test = material.part(test=False), material.part(test=True)
    for number, domain in enumerate(material.domains):
        if not (test.domain == number).any():
            raise ConfigError(f"'{domain}' has no test query with every score; leave the domain out, or cut it less")
    setting = Setting(material.domains, material.actions, train.outcomes, train.context)
    played = {name: play(router, router.init(setting), test, plan.seed) for name, router in plan.routers.items()}
    treatment = played[plan.treatment]
    swept = sweep(treatment.router, setting, test, plan)
    believed = fronts(treatment, test)
    played = {name: _with_waste(one, believed, test) for name, one in played.items()}

    resampler = Resampler(test.domain, test.cluster, seed=plan.seed, resamples=plan.resamples)
    estimates = {
        (name, metric): resampler.estimate(values[None])
        for name, one in played.items()
        for metric, values in one.values.items()
        if np.isfinite(values).all()
    }
    found = worth.measure(
        resampler,
        singles={action.label: single(number, test) for number, action in enumerate(material.actions)},
        swept={name: three(one) for name, one in swept.items()},
        treatment=three(treatment),
        reference=three(played[REFERENCE]),
        dearest=float(train.outcomes.cost_usd.mean(axis=0).max()) * 1000,
    )
    metrics = {name: _metrics(test, name, one, estimates) for name, one in played.items()}
    metrics[plan.treatment] |= found.metrics
    return Findings(
        metrics=metrics[plan.treatment],
        variants=metrics,
        comparisons=_comparisons(material.domains, test, resampler, played, estimates, plan.treatment),
        targets=worth.judge(_verdicts(treatment, test, believed, estimates.get((plan.treatment, WASTED)))),
        curves={"economy": _curves(test, swept, found, plan.treatment, played)},
        notes=[*_left_out(material, train, test), *treatment.router.notes(treatment.state, setting), *found.notes],
        tags={},
        baseline=REFERENCE,
    )


def sweep(router: Router, setting: Setting, test: Material, plan: Plan) -> dict[str, Played]:
    """The router under every preference of the sweep; nothing where it has none."""
    if router.prefer is None:
        return {}
    state = router.init(setting)
    preferred = {name: router.prefer(state, preference.weights()) for name, preference in plan.sweep.items()}
    return {name: play(router, one, test, plan.seed) for name, one in preferred.items()}


def play(router: Router, state: State, test: Material, seed: int) -> Played:
    """Route every test query: at once, or one after another in their order if the router adapts."""
    if router.adapts:
        order = np.arange(len(test.queries))
        routed, _, state = replay.stream(router, state, test.outcomes, test.context, order, seed)
    else:
        routed = replay.route(router, state, test.outcomes, test.context, seed)
    outcomes = test.outcomes
    values = {
        QUALITY: routed.values(outcomes.quality),
        COST: routed.cost_usd(outcomes) * 1000,
        DIVERSITY: routed.values(outcomes.diversity),
        **{name: routed.values(scores) for name, scores in outcomes.scores.items()},
    }
    return Played(router, state, routed, values)


def fronts(one: Played, test: Material) -> Bool[np.ndarray, "Q A"] | None:
    """Which actions the router believes not to be dominated on each test query; None if it believes nothing."""
    if one.router.believe is None:
        return None
    believed = _believed(one, test)
    return np.asarray(_fronts(believed, np.ones(believed.shape[:2], bool)))


def three(one: Played) -> Float[np.ndarray, "M Q"]:
    """Cost per 1,000, quality and diversity of every test query."""
    return np.stack([one.values[COST], one.values[QUALITY], one.values[DIVERSITY]])


def single(action: int, test: Material) -> Float[np.ndarray, "M Q"]:
    """The same of one action for all."""
    outcomes = test.outcomes
    return np.stack([outcomes.cost_usd[:, action] * 1000, outcomes.quality[:, action], outcomes.diversity[:, action]])


def _believed(one: Played, test: Material) -> Float[np.ndarray, "Q A M"]:
    assert one.router.believe is not None
    asked = Asked(jnp.asarray(test.context, jnp.int32), jnp.asarray(test.outcomes.features, jnp.float32))
    return np.asarray(jax.vmap(one.router.believe, in_axes=(None, 0))(one.state, asked))


def _with_waste(one: Played, believed: Bool[np.ndarray, "Q A"] | None, test: Material) -> Played:
    """Its waste, too: by what the treatment believes of each query, and by what each domain turned out to be."""
    values = {} if believed is None else {WASTED: wasted(believed, one.routed.action)}
    member = np.empty(test.outcomes.quality.shape, bool)
    for number in range(len(test.domains)):
        own = test.domain == number
        member[own] = nondominated(objectives(test.outcomes)[own].mean(axis=0).astype(np.float32))
    return one._replace(values={**one.values, **values, HINDSIGHT: wasted(member, one.routed.action)})


def _verdicts(
    one: Played, test: Material, believed: Bool[np.ndarray, "Q A"] | None, waste: Estimate | None
) -> dict[str, tuple[Interval, str] | str]:
    """The router's two targets: that its fronts are right, and that it keeps to them."""
    if believed is None or waste is None:
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

    theirs = [moocore.is_nondominated(each.astype(np.float64), keep_weakly=True) for each in _believed(one, test)]
    share = float((np.array(theirs) == believed).all(axis=1).mean())
    why = f"share of {len(theirs)} test queries on which moocore finds the same front"
    return found | {"w2.pareto_exact": (Interval(share, share, share), why)}


def _metrics(test: Material, name: str, one: Played, estimates: Mapping[tuple[str, str], Estimate]) -> dict[str, float]:
    """A router's metrics on test, per domain and mean, with intervals; where some answers have no score, the mean of
    those that do, and how many they are.
    """
    prefixes = [*(f"{domain}/" for domain in test.domains), ""]
    out: dict[str, float] = {}
    for metric, values in one.values.items():
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
    domains: tuple[str, ...],
    test: Material,
    resampler: Resampler,
    played: Mapping[str, Played],
    estimates: Mapping[tuple[str, str], Estimate],
    treatment: str,
) -> list[Comparison]:
    """Primary: the treatment's quality against the best single action's. Exploratory: quality and cost against all."""
    counts = np.bincount(test.domain, minlength=len(domains)).tolist()

    def family(name: str, metric: str, others: list[str], *, mean: bool) -> list[Comparison]:
        pairs = [
            Pair(
                metric, treatment, other, played[treatment].values[metric][None], played[other].values[metric][None],
                estimates[treatment, metric], estimates[other, metric],
            )
            for other in others
        ]  # fmt: skip
        return compare(resampler, name, pairs, domains, counts, mean=mean) if pairs else []

    others = [name for name in played if name != treatment]
    return [
        *(family("primary", QUALITY, [REFERENCE], mean=True) if treatment != REFERENCE else []),
        *family("exploratory quality", QUALITY, others, mean=True),
        *family("exploratory cost", COST, others, mean=True),
    ]


def _curves(
    test: Material, swept: Mapping[str, Played], found: worth.Worth, treatment: str, played: Mapping[str, Played]
) -> dict[str, Any]:
    """What the figures draw: every action's means, which of them stand, and what each preference chose."""
    means = np.stack([single(number, test).mean(axis=1) for number in range(len(test.actions))])
    signed = (means * np.array([1, -1, -1])).astype(np.float32)
    shown = {**swept, "as configured": played[treatment]}
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


def _left_out(material: Material, train: Material, test: Material) -> list[str]:
    lost = len(material.queries) - len(train.queries) - len(test.queries)
    return [f"{lost} queries lack a score under some action and take no part in routing."] if lost else []
