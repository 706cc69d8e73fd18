"""A coin for every query: the best single action, or the best of those that cost much less.

Its points over all shares are the straight line between the two: a router that does not look at queries can have
any of them, so one that looks must lie above.
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int
from pydantic import Field

from rag_lab.economy import singles
from rag_lab.economy.router import Asked, Router, Setting, once

Share = Annotated[float, Field(ge=0, le=1)]


def build(*, cheap: Share, share: Share) -> Router:
    """The router. cheap: what the other action may cost, as a share of the best one's cost; share: of queries that
    get the best.
    """

    def init(setting: Setting) -> Int[Array, " 2"]:
        return jnp.array([singles.cheap(setting, cheap), singles.best(setting)], jnp.int32)

    def choose(key: Array, state: Int[Array, " 2"], asked: Asked) -> Int[Array, ""]:
        return state[jax.random.bernoulli(key, share).astype(jnp.int32)]

    return once(init, choose, draws=True)
