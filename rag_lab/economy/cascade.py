"""A cheap action first; the best single action as well where the generator is not confident of its answer.

The idea of FrugalGPT (Chen, Zaharia and Zou 2023, arXiv:2305.05176). The threshold is the quantile of the cheap
action's confidence on train below which the wanted share of queries lies; on other queries the share may differ.
An unknown confidence is enough. Both answers are paid, retrieval once.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.economy import singles
from rag_lab.economy.router import Asked, Router, Setting

Share = Annotated[float, Field(ge=0, le=1)]


class State(NamedTuple):
    """The two actions, and the confidence from which the first is enough."""

    first: Int[Array, ""]
    second: Int[Array, ""]
    threshold: Float[Array, ""]


def build(*, cheap: Share, share: Share) -> Router:
    """The router. cheap: what the first action may cost, as a share of the best one's cost; share: of train queries
    that are escalated.
    """

    def init(setting: Setting) -> State:
        first, second = singles.cheap(setting, cheap), singles.best(setting)
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
        believe=None,
        prefer=None,
        always=None,
        adapts=False,
        draws=False,
    )
