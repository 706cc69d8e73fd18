"""What a policy is: pure functions over a state, so that one definition serves replay, study and pipeline.

A policy is played in *contexts*: one for each domain, in the data set's order, and a last one for queries whose
domain is unknown (the detector abstained). Its actions are the α of the action set, by index.

Shapes: C contexts (domains + 1), A actions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.errors import ConfigError

State = Any  # a pytree of arrays, each policy's own
Budget = Literal["judged", "pulls"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy is started with.

    domains: their names; actions: the α of each action; presets: the α believed best in each context before any
    evidence, or None for no belief; tune: finds, on train queries, the best action for the mean over domains
    (per_domain=False) or in each context (True) within a budget: [C] action indexes.
    """

    domains: tuple[str, ...]
    actions: Float[np.ndarray, " A"]
    presets: Float[np.ndarray, " C"] | None
    tune: Callable[[bool, Budget], Int[np.ndarray, " C"]]

    def action(self, alpha: float) -> int:
        """The index of an α; ConfigError where it is not in the action set."""
        found = np.flatnonzero(np.isclose(self.actions, alpha, atol=1e-6))
        if not len(found):
            allowed = ", ".join(f"{one:g}" for one in self.actions)
            raise ConfigError(f"alpha {alpha:g} is not an action; choose one of {allowed}")
        return int(found[0])


class Policy(NamedTuple):
    """Pure functions; `act`, `update`, `greedy` and `propensity` may be traced by jit, vmap and scan.

    init(setting) -> state, on the host. act(key, state, context) -> action. update(state, context, action,
    reward) -> state. greedy(state, context) -> the action believed best. propensity(state, context) -> the
    probability [A] with which `act` takes each action. per_domain: the context matters. learns: update does
    something, and so seeds matter. fitted: the actions depend on train queries, now or in an earlier run.
    """

    init: Callable[[Setting], State]
    act: Callable[[Array, State, Int[Array, ""]], Int[Array, ""]]
    update: Callable[[State, Int[Array, ""], Int[Array, ""], Float[Array, ""]], State]
    greedy: Callable[[State, Int[Array, ""]], Int[Array, ""]]
    propensity: Callable[[State, Int[Array, ""]], Float[Array, " A"]]
    per_domain: bool
    learns: bool
    fitted: bool


class Table(NamedTuple):
    """The state of a policy that does not learn: the action of each context, out of `count` actions."""

    action: Int[Array, " C"]
    ones: Float[Array, " A"]


def lookup(choose: Callable[[Setting], Int[np.ndarray, " C"]], *, per_domain: bool, fitted: bool) -> Policy:
    """A policy that always takes the action chosen for the context at the start."""

    def init(setting: Setting) -> Table:
        return Table(jnp.asarray(choose(setting), jnp.int32), jnp.ones(len(setting.actions)))

    def greedy(state: Table, context: Int[Array, ""]) -> Int[Array, ""]:
        return state.action[context]

    def propensity(state: Table, context: Int[Array, ""]) -> Float[Array, " A"]:
        return jax.nn.one_hot(state.action[context], state.ones.shape[0])

    return Policy(
        init=init,
        act=lambda key, state, context: greedy(state, context),
        update=lambda state, context, action, reward: state,
        greedy=greedy,
        propensity=propensity,
        per_domain=per_domain,
        learns=False,
        fitted=fitted,
    )


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Not a policy but a bound: what hindsight on the test split itself could reach.

    per_query: the best action of each query; otherwise the best action of each domain.
    """

    per_query: bool

    def best(self, metric: Float[np.ndarray, "Q A"], domain: Int[np.ndarray, " Q"]) -> Int[np.ndarray, " Q"]:
        """The best action of each query for this metric; ties to the first action."""
        if self.per_query:
            return metric.argmax(axis=1)
        best = np.zeros(len(metric), np.int64)
        for one in np.unique(domain):
            best[domain == one] = metric[domain == one].mean(axis=0).argmax()
        return best
