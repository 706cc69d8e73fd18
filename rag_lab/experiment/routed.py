"""Routers that have learned from train queries' baked outcomes and routed every test query.

Shapes: Q queries, A actions, M = 3 objectives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

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
from rag_lab.experiment.lab import COST
from rag_lab.kernels import pareto
from rag_lab.metrics.economy import wasted

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


class Game(NamedTuple):
    """All of a plan, played. setting: what the routers learned from; test: the queries they routed; swept: the
    treatment under the sweep's preferences; fronts: which actions the treatment believes not to be dominated on each
    test query, or None if it believes nothing; notes: what must be known of the queries.
    """

    setting: Setting
    test: Material
    played: Mapping[str, Played]
    swept: Mapping[str, Played]
    fronts: Bool[np.ndarray, "Q A"] | None
    notes: list[str]


def play_all(material: Material, plan: Plan) -> Game:
    """Let every router learn and route. ConfigError where the reference is missing, a router cannot start, or a
    domain has no test query with every score.
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
    fronts = _fronts_of(treatment, test)
    lost = len(material.queries) - len(train.queries) - len(test.queries)
    return Game(
        setting,
        test,
        {name: _with_waste(one, fronts, test) for name, one in played.items()},
        sweep(treatment.router, setting, test, plan),
        fronts,
        [f"{lost} queries lack a score under some action and take no part in routing."] if lost else [],
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


def believed(one: Played, test: Material) -> Float[np.ndarray, "Q A M"]:
    """The objectives that a router believes each action to have on each test query."""
    assert one.router.believe is not None
    asked = Asked(jnp.asarray(test.context, jnp.int32), jnp.asarray(test.outcomes.features, jnp.float32))
    return np.asarray(jax.vmap(one.router.believe, in_axes=(None, 0))(one.state, asked))


def _fronts_of(one: Played, test: Material) -> Bool[np.ndarray, "Q A"] | None:
    """Which actions the router believes not to be dominated on each test query; None if it believes nothing."""
    if one.router.believe is None:
        return None
    objectives = believed(one, test)
    return np.asarray(_fronts(objectives, np.ones(objectives.shape[:2], bool)))


def three(one: Played) -> Float[np.ndarray, "M Q"]:
    """Cost per 1,000, quality and diversity of every test query."""
    return np.stack([one.values[COST], one.values[QUALITY], one.values[DIVERSITY]])


def single(action: int, test: Material) -> Float[np.ndarray, "M Q"]:
    """The same of one action for all."""
    outcomes = test.outcomes
    return np.stack([outcomes.cost_usd[:, action] * 1000, outcomes.quality[:, action], outcomes.diversity[:, action]])


def _with_waste(one: Played, fronts: Bool[np.ndarray, "Q A"] | None, test: Material) -> Played:
    """Its waste, too: by what the treatment believes of each query, and by what each domain turned out to be."""
    values = {} if fronts is None else {WASTED: wasted(fronts, one.routed.action)}
    member = np.empty(test.outcomes.quality.shape, bool)
    for number in range(len(test.domains)):
        own = test.domain == number
        member[own] = nondominated(objectives(test.outcomes)[own].mean(axis=0).astype(np.float32))
    return one._replace(values={**one.values, **values, HINDSIGHT: wasted(member, one.routed.action)})
