"""How much one item of feedback is to be believed: its user's reliability, its attention, its position.

Ratings are whole numbers of grains. Reliability is a user's agreement with the mean of others, beyond what is
expected by chance and shrunk towards a prior (empirical Bayes: Efron and Morris 1975, JASA 70), in whole-number
arithmetic: exact on every device. Sums stay below 2³⁰.

Units: seconds.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

DIGITS = 10  # binary digits of a reliability: it is read to one part in 2¹⁰


def others_mean(total: Int[Array, ""], count: Int[Array, ""], own: Int[Array, ""]) -> Int[Array, ""]:
    """The mean rating of `count` others, halves up, 0 without any; `total` includes `own`, which is left out."""
    some = jnp.maximum(count, 1)
    # lax.div rounds towards 0, as // does for what is not negative, at less than half its time.
    return jnp.where(count > 0, jax.lax.div(total - own + (some >> 1), some), 0)


def reliability(
    found: Int[Array, ""], expected: Int[Array, ""], prior_expected: Int[Array, ""], prior: Int[Array, ""]
) -> Int[Array, ""]:
    """Chance-corrected agreement in parts of 2¹⁰; 0 where it would be negative.

    found, expected: summed disagreement of a user, and by chance; prior: the reliability shrunk towards, in
    the same parts; prior_expected: its weight, as the disagreement by chance of so many items (above 0, below
    2¹⁷). That is ⌊(2¹⁰ · (expected − found) + prior_expected · prior) / (expected + prior_expected)⌋.
    """
    whole, agreement, belief = expected + prior_expected, expected - found, prior_expected * prior
    quotient, rest = share(jnp.maximum(agreement, 0), whole)
    # A negative agreement that the belief makes up for is small, so that its product with 2¹⁰ fits.
    made_up = belief - (jnp.minimum(-agreement, (belief >> DIGITS) + 1) << DIGITS)
    return jnp.where(agreement >= 0, quotient + (rest + belief) // whole, jnp.maximum(made_up, 0) // whole)


def share(part: Int[Array, ""], whole: Int[Array, ""]) -> tuple[Int[Array, ""], Int[Array, ""]]:
    """⌊2¹⁰ · part / whole⌋ and the remainder, for 0 ≤ part ≤ whole < 2³⁰: by long division, since the product
    would not fit int32.
    """
    quotient, rest = part // whole, part % whole
    for _ in range(DIGITS):
        digit = (2 * rest >= whole).astype(rest.dtype)
        quotient, rest = 2 * quotient + digit, 2 * rest - digit * whole
    return quotient, rest


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
