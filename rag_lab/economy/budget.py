"""A budget for a stream: what the last answers cost, what the next may cost, and a preference that tightens.

The budget is US dollars per 1,000 answers over a sliding window of W answers, of which none may ever cost more
than its share: W/1000 times the budget. An action is affordable if, after it, the cheapest action could still
answer everything until the window has moved on, were every one of them to cost the most that it can. By induction
the cheapest action is then always affordable, and no window is ever overspent, as long as no answer costs more
than was said to be possible. Sums are float32 of positive numbers, whose relative error stays below W · 2⁻²²: the
allowance is smaller by that share.

Shapes: W answers of the window, A actions, M objectives (cost first).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from rag_lab.errors import ConfigError

ROUNDING = 2.0**-22


class Purse(NamedTuple):
    """What the last W answers cost, oldest first; what W answers may cost; the most that each action can cost."""

    spent: Float[Array, " W"]
    allowance: Float[Array, ""]
    most: Float[Array, " A"]


def begin(usd_per_1k: float, window: int, most_usd: Float[np.ndarray, " A"], where: str) -> Purse:
    """An empty window; ConfigError where not even the cheapest action can be afforded all along."""
    least = float(most_usd.min()) * 1000
    margin = 1 - window * ROUNDING
    if least > usd_per_1k * margin:
        raise ConfigError(
            f"{where}.usd_per_1k: given {usd_per_1k:g}; the cheapest action can cost {least:g} per 1,000 answers; "
            f"give at least {np.ceil(least / margin * 1000) / 1000:g}"
        )
    allowance = usd_per_1k * window / 1000 * margin
    return Purse(jnp.zeros(window), jnp.float32(allowance), jnp.asarray(most_usd, jnp.float32))


def affordable(purse: Purse) -> Bool[Array, " A"]:
    """Which actions may be taken now; the cheapest always."""
    window = purse.spent.shape[0]
    cheapest = purse.most.min()
    latest = jnp.concatenate([jnp.zeros(1), jnp.cumsum(purse.spent[:0:-1])])  # of the last 0, 1 … W − 1 answers
    reserve = cheapest * jnp.arange(window - 1, -1, -1.0)
    return (purse.most + (latest + reserve).max() <= purse.allowance) | (purse.most <= cheapest)


def pay(purse: Purse, cost_usd: Float[Array, ""]) -> Purse:
    """After one more answer."""
    return purse._replace(spent=jnp.append(purse.spent[1:], cost_usd))


def used(purse: Purse) -> Float[Array, ""]:
    """The share of the allowance that the answers still in the next window have used."""
    return purse.spent[1:].sum() / purse.allowance


def tighten(weights: Float[Array, " M"], share: Float[Array, ""], sharpness: float) -> Float[Array, " M"]:
    """The preference while so large a share is used: moved towards cost alone by share^sharpness."""
    moved = jnp.clip(share, 0, 1) ** sharpness
    cost = jnp.zeros_like(weights).at[0].set(1)
    return (1 - moved) * weights + moved * cost
