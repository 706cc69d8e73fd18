"""A coin for every query: the best single action, or the best single action of the cheapest tier.

Its points over all shares are the straight line between the two: a router that does not look at queries can have
any of them, so one that looks must lie above.
"""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from pydantic import Field

from rag_lab.economy import singles
from rag_lab.economy.router import Asked, Router, Setting, once


def build(*, share: Annotated[float, Field(ge=0, le=1)]) -> Router:
    """The router. share: of queries that get the best single action."""

    def init(setting: Setting) -> Int[Array, " 2"]:
        everything = np.ones(len(setting.actions), bool)
        return jnp.array([singles.best(setting, among) for among in (singles.base(setting), everything)], jnp.int32)

    def choose(key: Array, state: Int[Array, " 2"], asked: Asked) -> Int[Array, ""]:
        return state[jax.random.bernoulli(key, share).astype(jnp.int32)]

    return once(init, choose, draws=True)
