"""The cheapest tier first; the best single action as well where the generator is not confident of its answer.

The idea of FrugalGPT (Chen, Zaharia and Zou 2023, arXiv:2305.05176). The threshold is the quantile of the first
action's confidence on train below which the wanted share of queries lies; on other queries the share may differ.
Both answers are paid, retrieval once.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.economy import singles
from rag_lab.economy.router import Asked, Router, Setting


class State(NamedTuple):
    """The two actions, and the confidence from which the first is enough."""

    first: Int[Array, ""]
    second: Int[Array, ""]
    threshold: Float[Array, ""]


def build(*, share: Annotated[float, Field(ge=0, le=1)]) -> Router:
    """The router. share: of train queries that are escalated."""

    def init(setting: Setting) -> State:
        first = singles.best(setting, singles.base(setting))
        second = singles.best(setting, np.ones(len(setting.actions), bool))
        confidence = np.sort(setting.train.confidence[:, first])
        least = round(share * len(confidence))
        threshold = confidence[least] if least < len(confidence) else np.inf
        return State(jnp.int32(first), jnp.int32(second), jnp.float32(threshold))

    def settle(state: State, asked: Asked, action: Int[Array, ""], confidence: Float[Array, ""]) -> Int[Array, ""]:
        return jnp.where(confidence < state.threshold, state.second, action)

    return Router(
        init=init,
        choose=lambda key, state, asked: state.first,
        settle=settle,
        learn=lambda state, asked, action, cost_usd, quality: state,
        notes=lambda state, setting: [],
        adapts=False,
        draws=False,
    )
