"""The probability that Thompson sampling chooses each of several independent Gaussian arms.

P(arm a is the largest) = ∫ φ_a(x) Π_{b≠a} Φ_b(x) dx, by the trapezoidal rule on one grid that covers every
arm by ±8 standard deviations. The rule converges exponentially for such smooth integrands as long as the
step stays near the smallest deviation (Trefethen and Weideman 2014, SIAM Review 56(3)); with `nodes` points
that holds while the deviations, and the means in units of them, differ by less than a factor of about
nodes/16.

Shapes: A arms.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

REACH = 8.0  # standard deviations: the Gaussian mass beyond is below float32's resolution


def propensity(mean: Float[Array, " A"], deviation: Float[Array, " A"], nodes: int = 512) -> Float[Array, " A"]:
    """Probability of each arm; sums to 1. `deviation` must be positive, `nodes` is static."""
    low, high = (mean - REACH * deviation).min(), (mean + REACH * deviation).max()
    x = jnp.linspace(low, high, nodes)[:, None]
    z = (x - mean) / deviation
    log_cdf = jax.scipy.stats.norm.logcdf(z)
    log_density = -0.5 * z**2 - jnp.log(deviation)
    weight = jnp.exp(log_density + log_cdf.sum(axis=1, keepdims=True) - log_cdf).sum(axis=0)
    return weight / weight.sum()
