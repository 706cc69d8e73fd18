"""A small scorer of candidates, trained listwise: the probability of the relevant ones under a softmax over the pool.

ListNet's top-one loss (Cao et al. 2007, ICML) with grades as gains, by Adam (Kingma and Ba 2015, ICLR). The scorer is
linear in a candidate's features plus one hidden layer, so that a plain weighted sum of the rankers is where it starts.

Shapes: P places of a pool, F features of a candidate, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

DECAY_1, DECAY_2, TINY = 0.9, 0.999, 1e-8  # Adam's own defaults


class Scorer(NamedTuple):
    """linear: weights of the features; the hidden layer's weights, biases, and weights to the score."""

    linear: Float[Array, " F"]
    inner: Float[Array, "F H"]
    bias: Float[Array, " H"]
    outer: Float[Array, " H"]


def start(key: Array, linear: Float[Array, " F"], hidden: int) -> Scorer:
    """A scorer that begins as the weighted sum of its features; the hidden layer adds nothing yet."""
    size = linear.shape[0]
    inner = jax.random.normal(key, (size * hidden,)).reshape(size, hidden) / jnp.sqrt(size)
    return Scorer(linear, inner, jnp.zeros(hidden), jnp.zeros(hidden))


def score(scorer: Scorer, features: Float[Array, "P F"]) -> Float[Array, " P"]:
    """Every candidate's score."""
    hidden = jax.nn.tanh(features @ scorer.inner + scorer.bias)
    return features @ scorer.linear + hidden @ scorer.outer


def loss(
    scorer: Scorer, features: Float[Array, "P F"], grades: Int[Array, " P"], real: Bool[Array, " P"]
) -> Float[Array, ""]:
    """Cross-entropy of the pool's softmax against its grades; 0 where no candidate is relevant."""
    gain = jnp.where(real, jnp.maximum(grades, 0), 0).astype(jnp.float32)
    chance = jax.nn.log_softmax(jnp.where(real, score(scorer, features), -1e9))
    return -(gain * chance).sum() / jnp.maximum(gain.sum(), 1)


class Adam(NamedTuple):
    """What Adam remembers: running means of the gradient and of its square, and how many steps there were."""

    first: Any
    second: Any
    steps: Int[Array, ""]


def rest(parameters: Any) -> Adam:
    """Before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return Adam(zeros, zeros, jnp.int32(0))


def step(
    slope: Callable[[Any], Any], parameters: Any, memory: Adam, rate: Float[Array, ""], ridge: Float[Array, ""]
) -> tuple[Any, Adam]:
    """One step of Adam down `slope`, with weight decay apart from it (Loshchilov and Hutter 2019, ICLR)."""
    gradient = slope(parameters)
    steps = memory.steps + 1
    first = jax.tree.map(lambda m, g: DECAY_1 * m + (1 - DECAY_1) * g, memory.first, gradient)
    second = jax.tree.map(lambda v, g: DECAY_2 * v + (1 - DECAY_2) * g * g, memory.second, gradient)

    def moved(x: Array, m: Array, v: Array) -> Array:
        mean, spread = m / (1 - DECAY_1**steps), v / (1 - DECAY_2**steps)
        return x - rate * (mean / (jnp.sqrt(spread) + TINY) + ridge * x)

    return jax.tree.map(moved, parameters, first, second), Adam(first, second, steps)
