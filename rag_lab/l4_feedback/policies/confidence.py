"""A rule for each query, without learning: the surer ranker gets the weight.

In the manner of published dynamic-α work (Hsu and Tzeng 2025, arXiv:2503.23013, who ask a language model how good
either ranker's best passage is; here the rankers' own scores say it, as query performance prediction does: Shtok et al.
2012, ACM TOIS 30(2)): α = base + slope · (lexical − dense), both features standardised on train queries, taken to the
nearest α of the set.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.policy import AT_ONCE, Chance, Context, Policy, Sets, Setting, always, no_chance


class Rule(NamedTuple):
    """alphas: the α to choose from; action: the action of each; lexical, dense: which features are compared."""

    alphas: Float[Array, " n"]
    action: Int[Array, " n"]
    ones: Float[Array, " A"]
    lexical: Int[Array, ""]
    dense: Int[Array, ""]
    base: Float[Array, ""]
    slope: Float[Array, ""]


def _greedy(state: Rule, context: Context) -> Int[Array, ""]:
    surer = context.features[state.lexical] - context.features[state.dense]
    return state.action[jnp.argmin(jnp.abs(state.alphas - (state.base + state.slope * surer)))]


def _act(chance: Chance, state: Rule, context: Context) -> Int[Array, ""]:
    return _greedy(state, context)


def _update(
    state: Rule, context: Context, action: Int[Array, ""], reward: Float[Array, ""], weight: Float[Array, ""]
) -> Rule:
    return state


def _propensity(state: Rule, context: Context) -> Float[Array, " A"]:
    return always(_greedy(state, context), state.ones.shape[0])


def build(
    *,
    base: Annotated[float, Field(ge=0, le=1)],
    slope: Annotated[float, Field(ge=0)],
    lexical: str,
    dense: str,
    actions: Sets,
) -> Policy:
    """The policy.

    base: α where both rankers are as sure as usual; slope: what a standard deviation more of the lexical ranker's
    confidence adds; lexical, dense: the features that say how sure either is. ConfigError where one does not exist.
    """

    def init(setting: Setting) -> Rule:
        for key, name in (("lexical", lexical), ("dense", dense)):
            if name not in setting.features:
                allowed = ", ".join(setting.features) or "none"
                raise ConfigError(f"policy.{key}: no feature '{name}'; allowed: {allowed}")
        alphas = np.unique(setting.alphas)
        return Rule(
            jnp.asarray(alphas, jnp.float32),
            jnp.asarray([setting.action(float(alpha)) for alpha in alphas], jnp.int32),
            jnp.ones(len(setting.alphas)),
            jnp.int32(setting.features.index(lexical)),
            jnp.int32(setting.features.index(dense)),
            jnp.float32(base),
            jnp.float32(slope),
        )

    return Policy(
        init=init,
        chance=no_chance,
        act=_act,
        update=_update,
        greedy=_greedy,
        propensity=_propensity,
        belief=None,
        per_domain=False,
        contextual=True,
        learns=False,
        fitted=True,
        actions=actions,
        pace=AT_ONCE,
    )
