"""The same spending for every query: one generator tier, so many passages, evidence ranked and cut in one way."""

from __future__ import annotations

from typing import Annotated

import jax.numpy as jnp
from jaxtyping import Array
from pydantic import Field

from rag_lab.economy import actions
from rag_lab.economy.actions import Action
from rag_lab.economy.router import Router, Setting, once


def build(
    *,
    tier: str,
    passages: Annotated[int, Field(ge=1)],
    mmr: Annotated[float, Field(ge=0, le=1)],
    context_tokens: Annotated[int, Field(ge=1)],
) -> Router:
    """The router.

    tier: a generator of the price table; passages: how many are shown; mmr: λ of maximal marginal relevance, 1
    being relevance alone; context_tokens: what the evidence may hold. ConfigError from `init` where the action
    space lacks this action.
    """
    action = Action(tier, passages, mmr, context_tokens)

    def init(setting: Setting) -> Array:
        return jnp.int32(actions.place(setting.actions, action, "router"))

    return once(init, lambda key, state, asked: state, always=action)
