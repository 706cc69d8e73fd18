"""What a router is: pure functions over a state, so that one definition serves replay, experiment and pipeline.

A router sees a query's context (its domain's index, or the number of domains where the domain is unknown) and its
features, and picks the action to run. Having the answer and the generator's confidence in it, it may ask for
another action's answer instead, once, and both are paid. Then it hears what was spent and, where it is known, how
good the answer was.

Shapes: Q train queries, A actions, F features, M objectives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.economy.actions import Action
from rag_lab.economy.outcomes import Outcomes

State = Any  # a pytree of arrays, each router's own


class Setting(NamedTuple):
    """What a router is started with. train: outcomes of train queries that have every score; context: of each."""

    domains: tuple[str, ...]
    actions: tuple[Action, ...]
    train: Outcomes
    context: Int[np.ndarray, " Q"]


class Asked(NamedTuple):
    """One query, as a router sees it."""

    context: Int[Array, ""]
    features: Float[Array, " F"]


class Router(NamedTuple):
    """Pure functions; all but `init` and `notes` may be traced by jit, vmap and scan.

    init(setting) -> state, on the host. choose(key, state, asked) -> the action to run. settle(state, asked, action,
    confidence) -> the action whose answer is shown, the same or another. learn(state, asked, action, cost_usd, quality)
    -> state; quality is NaN where nobody knows it. notes(state, setting) -> what a reader should hear of it.
    believe(state, asked) -> the objectives [A, M] by which it chooses, minimised. prefer(state, weights [M]) -> state,
    under another preference. always: the action of a router that knows no other. These three are None where a router
    has no such thing. adapts: learn does something, so the order of queries matters. draws: chance has a part in
    choose.
    """

    init: Callable[[Setting], State]
    choose: Callable[[Array, State, Asked], Int[Array, ""]]
    settle: Callable[[State, Asked, Int[Array, ""], Float[Array, ""]], Int[Array, ""]]
    learn: Callable[[State, Asked, Int[Array, ""], Float[Array, ""], Float[Array, ""]], State]
    notes: Callable[[State, Setting], list[str]]
    believe: Callable[[State, Asked], Float[Array, "A M"]] | None
    prefer: Callable[[State, Float[Array, " M"]], State] | None
    always: Action | None
    adapts: bool
    draws: bool


def once(
    init: Callable[[Setting], State],
    choose: Callable[[Array, State, Asked], Int[Array, ""]],
    *,
    prefer: Callable[[State, Float[Array, " M"]], State] | None = None,
    always: Action | None = None,
    draws: bool = False,
) -> Router:
    """A router that is content with its first answer and never changes."""
    return Router(
        init=init,
        choose=choose,
        settle=lambda state, asked, action, confidence: action,
        learn=lambda state, asked, action, cost_usd, quality: state,
        notes=lambda state, setting: [],
        believe=None,
        prefer=prefer,
        always=always,
        adapts=False,
        draws=draws,
    )
