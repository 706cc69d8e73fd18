"""What a policy is: pure functions over a state, so that one definition serves replay, study and pipeline.

A policy meets a query in a `Context`: its place, one for each domain in the data set's order and a last one for
queries whose domain is unknown (the detector abstained), and the query's features. Its actions are those of one
action set, by index. All that is left to chance in a decision is drawn beforehand by `chance`, for as many
decisions as asked: a thousand bandits' numbers at once cost far less than one at a time, and a test can give its own.
Everything that a setting of the configuration changes lies in the state, so that one compiled program serves all.

Shapes: C places (domains + 1), A actions, F features of a query, K features of an action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.errors import ConfigError

State = Any  # a pytree of arrays, each policy's own
Chance = Any  # a pytree of arrays: what chance says to one decision, with the asked shape before each array's own
Budget = Literal["judged", "pulls"]
Sets = Annotated[tuple[str, ...], Field(min_length=1)]  # names of action sets
Rounds = Annotated[int, Field(ge=1, le=10_000)]
Lag = Annotated[int, Field(ge=0, le=10_000)]


class Context(NamedTuple):
    """What is known of a query before any feedback. features: standardised on train queries."""

    place: Int[Array, ""]
    features: Float[Array, " F"]


class Belief(NamedTuple):
    """What is believed of each action's mean reward in a context."""

    mean: Float[Array, " A"]
    deviation: Float[Array, " A"]


class Pace(NamedTuple):
    """When feedback reaches a policy. update_every: queries of a domain between two updates; delay: queries of a
    domain until feedback arrives, rounded up to whole updates."""

    update_every: int
    delay: int


AT_ONCE = Pace(1, 0)


class Judged(NamedTuple):
    """Train queries whose every action is scored: what may be fitted on. weight: for means over domains."""

    features: Float[np.ndarray, "J F"]
    place: Int[np.ndarray, " J"]
    rewards: Float[np.ndarray, "J A"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy is started with.

    domains: their names; labels: the actions' names; alphas: of each action; basis: each action's own features,
    standardised; features: the names of a query's; presets: the α believed best in each place before any evidence, or
    None for no belief; tune: finds, on train queries, the best action for the mean over domains (per_domain=False) or
    in each place (True) within a budget: [C] action indexes; judged: gives the train queries that the judged
    budget buys.
    """

    domains: tuple[str, ...]
    labels: tuple[str, ...]
    alphas: Float[np.ndarray, " A"]
    basis: Float[np.ndarray, "A K"]
    features: tuple[str, ...]
    presets: Float[np.ndarray, " C"] | None
    tune: Callable[[bool, Budget], Int[np.ndarray, " C"]]
    judged: Callable[[], Judged]

    @property
    def places(self) -> int:
        """One for each domain, and one for the unknown."""
        return len(self.domains) + 1

    def action(self, alpha: float) -> int:
        """The index of the first action with an α, the plainest; ConfigError where none has it."""
        found = np.flatnonzero(np.isclose(self.alphas, alpha, atol=1e-6))
        if not len(found):
            allowed = ", ".join(f"{one:g}" for one in np.unique(self.alphas))
            raise ConfigError(f"alpha {alpha:g} is not an action; choose one of {allowed}")
        return int(found[0])

    def prior(self, mean: float, slope: float) -> Float[np.ndarray, "C A"]:
        """A belief that falls from `mean` by `slope` for a unit of α away from the preset; flat without presets."""
        away = np.zeros((self.places, 1)) if self.presets is None else np.abs(self.alphas - self.presets[:, None])
        return np.broadcast_to(mean - slope * away, (self.places, len(self.alphas))).astype(np.float32)


class Policy(NamedTuple):
    """Pure functions; all but `init` may be traced by jit, vmap and scan, and do not depend on any setting.

    init(setting) -> state, on the host. chance(key, state, shape) -> what chance says to decisions of that shape.
    act(chance, state, context) -> action. update(state, context, action, reward, weight) -> state; weight is how
    many observations the reward is worth. greedy(state, context) -> the action believed best. propensity(state,
    context) -> the probability [A] with which `act` takes each action. belief(state, context) -> Belief, None where
    nothing is believed. per_domain: the place matters. contextual: the features do. learns: update does something,
    and so seeds matter. fitted: the actions depend on train queries, now or in an earlier run. actions: the sets
    that it runs on. pace: when feedback reaches it.
    """

    init: Callable[[Setting], State]
    chance: Callable[[Array, State, tuple[int, ...]], Chance]
    act: Callable[[Chance, State, Context], Int[Array, ""]]
    update: Callable[[State, Context, Int[Array, ""], Float[Array, ""], Float[Array, ""]], State]
    greedy: Callable[[State, Context], Int[Array, ""]]
    propensity: Callable[[State, Context], Float[Array, " A"]]
    belief: Callable[[State, Context], Belief] | None
    per_domain: bool
    contextual: bool
    learns: bool
    fitted: bool
    actions: tuple[str, ...]
    pace: Pace


def no_chance(key: Array, state: State, shape: tuple[int, ...]) -> Chance:
    """For policies that leave nothing to chance."""
    return jnp.zeros(shape)


def normals(key: Array, shape: tuple[int, ...], each: int) -> Float[Array, "... each"]:
    """`each` standard normal numbers for every decision.

    Drawn flat: under vmap, random numbers of several dimensions take XLA twenty times as long to compile.
    """
    flat = jax.random.normal(key, (int(np.prod(shape, dtype=np.int64)) * each,))
    return flat.reshape(*shape, each)


def always(action: Int[Array, ""], actions: int) -> Float[Array, " A"]:
    """The propensities of one who always takes this action."""
    return jax.nn.one_hot(action, actions)


class Table(NamedTuple):
    """The state of a policy that does not learn: the action of each place, out of so many."""

    action: Int[Array, " C"]
    ones: Float[Array, " A"]


def _choose(state: Table, context: Context) -> Int[Array, ""]:
    return state.action[context.place]


def lookup(
    choose: Callable[[Setting], Int[np.ndarray, " C"]], *, per_domain: bool, fitted: bool, actions: Sets
) -> Policy:
    """A policy that always takes the action chosen for the place at the start."""

    def init(setting: Setting) -> Table:
        return Table(jnp.asarray(choose(setting), jnp.int32), jnp.ones(len(setting.alphas)))

    return Policy(
        init=init,
        chance=no_chance,
        act=lambda chance, state, context: _choose(state, context),
        update=lambda state, context, action, reward, weight: state,
        greedy=_choose,
        propensity=lambda state, context: always(_choose(state, context), state.ones.shape[0]),
        belief=None,
        per_domain=per_domain,
        contextual=False,
        learns=False,
        fitted=fitted,
        actions=actions,
        pace=AT_ONCE,
    )


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Not a policy but a bound: what hindsight on the test split itself could reach.

    per_query: the best action of each query; otherwise the best action of each domain. actions: as a policy's.
    """

    per_query: bool
    actions: tuple[str, ...]

    def best(self, metric: Float[np.ndarray, "Q A"], domain: Int[np.ndarray, " Q"]) -> Int[np.ndarray, " Q"]:
        """The best action of each query for this metric; ties to the first action."""
        if self.per_query:
            return metric.argmax(axis=1)
        best = np.zeros(len(metric), np.int64)
        for one in np.unique(domain):
            best[domain == one] = metric[domain == one].mean(axis=0).argmax()
        return best
