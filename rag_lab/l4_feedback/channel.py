"""What comes back of a decision: the judgment itself, clicks, or what simulated users say, filtered or not.

A channel turns the true rewards of a batch of answers into what a policy hears, reward and weight. It never sees more
than an assessor, or a user, would. All of it is pure, for use inside scan and vmap.

Shapes: B answers of a batch, C places.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

RANKS = 10  # passages that are shown


class Shown(NamedTuple):
    """A batch of answers. truth: their true rewards; clues: of each, which ranks hold a relevant passage, as bits
    (rank 1 is bit 0); progress: how much of the whole time has passed, from 0 to 1."""

    place: Int[Array, " B"]
    action: Int[Array, " B"]
    truth: Float[Array, " B"]
    clues: Int[Array, " B"]
    progress: Float[Array, ""]


class Heard(NamedTuple):
    """What a policy hears. weight: how many observations a reward is worth; count: whatever the channel counts."""

    reward: Float[Array, " B"]
    weight: Float[Array, " B"]
    count: Any


class Channel(NamedTuple):
    """start(answers of a batch) -> what the channel remembers. chance(key, shape) -> what chance says to answers of
    that shape. hear(memory, chance, shown) -> memory, Heard."""

    start: Callable[[int], Any]
    chance: Callable[[Array, tuple[int, ...]], Any]
    hear: Callable[[Any, Any, Shown], tuple[Any, Heard]]


def _no_memory(size: int) -> Any:
    return ()


def _no_chance(key: Array, shape: tuple[int, ...]) -> Any:
    return jnp.zeros(shape)


def _believe(memory: Any, chance: Any, shown: Shown) -> tuple[Any, Heard]:
    return memory, Heard(shown.truth, jnp.ones_like(shown.truth), ())


JUDGMENTS = Channel(_no_memory, _no_chance, _believe)  # an assessor labels the list shown; each label is right


class Clicks(NamedTuple):
    """How readers click. severity: rank r is looked at with propensity (1/r)^severity; relevant, other: chance of a
    click on a relevant and on another passage that is looked at; full: relevant passages that earn a reward of 1."""

    severity: float
    relevant: float
    other: float
    full: float


def clicks(model: Clicks) -> Channel:
    """Clicks on the ten passages shown, by a position-based model (Craswell et al. 2008, WSDM; Joachims, Swaminathan
    and Schnabel 2017, WSDM, for the correction): each click counts 1/propensity of its rank, less what clicks on
    irrelevant passages would add on average. The reward, clipped at 1, knows how many relevant passages were shown,
    in expectation, and nothing of how many there are.
    """
    looks = np.arange(1, RANKS + 1, dtype=np.float32) ** -model.severity

    def chance(key: Array, shape: tuple[int, ...]) -> Float[Array, "... ranks"]:
        count = int(np.prod(shape)) * RANKS
        return jax.random.uniform(key, (count,)).reshape(*shape, RANKS)

    def hear(memory: Any, chance: Float[Array, "B ranks"], shown: Shown) -> tuple[Any, Heard]:
        relevant = (shown.clues[:, None] >> jnp.arange(RANKS)) & 1
        clicked = chance < looks * jnp.where(relevant, model.relevant, model.other)
        found = (clicked / looks - model.other).sum(axis=1) / (model.relevant - model.other)
        return memory, Heard(jnp.clip(found / model.full, 0, 1), jnp.ones_like(shown.truth), clicked.sum())

    return Channel(_no_memory, chance, hear)
