"""What the nearest train queries say: each action's mean outcome over them, judged by the user's preference.

Nearness is Euclidean over features, each divided by its deviation on train: a router without a model, which any
model should beat (Hu et al. 2024, RouterBench, arXiv:2403.12031).

Shapes: Q train queries, A actions, F features, M = 3 objectives.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from pydantic import Field

from rag_lab.economy import choice
from rag_lab.economy.choice import Distance, Preference
from rag_lab.economy.estimates import objectives
from rag_lab.economy.router import Asked, Router, Setting, once
from rag_lab.kernels.choice import nearest


class State(NamedTuple):
    """Train queries: features in units of their deviation, which is `scale`, and objectives of every action; and
    what is wanted.
    """

    scale: Float[Array, " F"]
    features: Float[Array, "Q F"]
    objectives: Float[Array, "Q A M"]
    weights: Float[Array, " M"]


def build(
    *,
    neighbours: Annotated[int, Field(ge=1)],
    preference: Preference,
    distance: Distance,
    augmentation: Annotated[float, Field(ge=0)],
) -> Router:
    """The router.

    neighbours: how many train queries speak, or all there are; preference, distance and augmentation: as the
    pareto router's.
    """
    weights, measure = preference.weights(), choice.measure(distance, augmentation)

    def init(setting: Setting) -> State:
        scale = setting.train.features.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        arrays = (scale, setting.train.features / scale, objectives(setting.train), weights)
        return State(*(jnp.asarray(array, jnp.float32) for array in arrays))

    def choose(key: Array, state: State, asked: Asked) -> Int[Array, ""]:
        apart = ((state.features - asked.features / state.scale) ** 2).sum(axis=1)
        near = jax.lax.top_k(-apart, min(neighbours, len(apart)))[1]
        believed = state.objectives[near].mean(axis=0)
        everything, free = jnp.ones(len(believed), bool), jnp.full(believed.shape[1], jnp.inf)
        return nearest(believed, everything, state.weights, free, measure)

    return once(init, choose, prefer=lambda state, weights: state._replace(weights=weights))
