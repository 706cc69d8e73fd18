"""How much one item of feedback is to be believed: its user's reliability, its attention, its position.

Ratings and their distances are whole numbers of grains. Reliability is agreement with the mean of others, 1 less
what a user is apart from them, shrunk towards a prior (empirical Bayes: Efron and Morris 1975, JASA 70), in
whole-number arithmetic: exact on every device. Numbers stay below 2³⁰.

Units: seconds.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


def quotient(part: Int[Array, ""], whole: Int[Array, ""]) -> Int[Array, ""]:
    """⌊part / whole⌋ where it is below 2²⁰, for 0 ≤ part < 2³⁰ and 1 ≤ whole < 2³⁰.

    A quotient in float32, put right by its remainder: as exact as whole-number division, which processors do one
    at a time, and many times as quick.
    """
    guess = jnp.floor(part.astype(jnp.float32) / whole.astype(jnp.float32)).astype(jnp.int32)
    rest = part - guess * whole
    return guess + (rest >= whole) - (rest < 0)


def others_mean(total: Int[Array, ""], count: Int[Array, ""], own: Int[Array, ""]) -> Int[Array, ""]:
    """The mean rating of `count` others, halves up, 0 without any; `total` includes `own`, which is left out."""
    some = jnp.maximum(count, 1)
    return jnp.where(count > 0, quotient(total - own + (some >> 1), some), 0)


def reliability(
    apart: Int[Array, ""],
    items: Int[Array, ""],
    prior_items: Int[Array, ""],
    prior: Int[Array, ""],
    scale: int,
    cost: int,
) -> Int[Array, ""]:
    """Agreement in parts of `scale`, shrunk towards `prior`, in the same parts, as if `prior_items` had shown it:
    ⌊(scale · items − cost · apart + prior_items · prior) / (items + prior_items)⌋, 0 where it would be negative.

    apart: grains, summed over the items; cost: parts that a grain takes from an item. For at most 2²³ items, 2⁷
    grains an item, a cost of 2⁵ and 2¹⁰ prior items and parts.
    """
    whole = items + prior_items
    mean = quotient(apart, whole)
    rest = cost * (apart - mean * whole) + prior_items * (scale - prior)
    return jnp.maximum(scale - cost * mean - quotient(rest + whole - 1, whole), 0)


def attention(dwell_s: Float[Array, ""], attention_s: float) -> Float[Array, ""]:
    """Evidence that the user looked: 1 − exp(−dwell / attention_s) (Fox et al. 2005, ACM TOIS 23(2), on dwell)."""
    return -jnp.expm1(-dwell_s / attention_s)


def position_correction(position: Int[Array, ""], severity: float, depth: int) -> Float[Array, ""]:
    """Inverse propensity of looking at a position, (1/position)^severity, clipped at `depth` and scaled to 1
    there.

    Craswell et al. 2008, WSDM (an experimental comparison of click position-bias models); Joachims,
    Swaminathan and Schnabel 2017, WSDM (unbiased learning-to-rank). Positions count from 1.
    """
    return (jnp.minimum(position, depth) / depth) ** severity
