"""The rollback: an upgrade that does not keep its promise is switched off for the rest of the run.

Tiers above the cheapest are upgrades. Each of their answers is compared with what the cheapest tier's own choice
was expected to bring on the same query. Once there are enough, a tier fails whose mean gain is below what is asked
of it by more than so many standard errors, and it stays off.

Shapes: A actions, T tiers (0 is the cheapest, which is never off).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


class Gate(NamedTuple):
    """Each action's tier; of each tier the answers heard, their mean gain, its squares, and whether it is off."""

    tier: Int[Array, " A"]
    heard: Int[Array, " T"]
    mean: Float[Array, " T"]
    squares: Float[Array, " T"]
    off: Bool[Array, " T"]


def begin(tier: Int[Array, " A"], tiers: int) -> Gate:
    """Everything is on, nothing is known."""
    return Gate(tier, jnp.zeros(tiers, jnp.int32), jnp.zeros(tiers), jnp.zeros(tiers), jnp.zeros(tiers, bool))


def open_to(gate: Gate) -> Bool[Array, " A"]:
    """Which actions are still on."""
    return ~gate.off[gate.tier]


def judge(
    gate: Gate, action: Int[Array, ""], gain: Float[Array, ""], *, answers: int, least: float, deviations: float
) -> Gate:
    """After one more answer, whose gain over the cheapest tier may be NaN, unknown (Welford's running variance).

    answers: so many are heard before a tier is judged; least: the mean gain asked; deviations: of the mean, that
    it must fall short.
    """
    tier = gate.tier[action]
    count = gate.heard[tier] + 1
    delta = gain - gate.mean[tier]
    mean = gate.mean[tier] + delta / count
    squares = gate.squares[tier] + delta * (gain - mean)
    error = jnp.sqrt(squares / jnp.maximum(count - 1, 1) / count)
    fails = (count >= answers) & (mean + deviations * error < least) & (tier > 0)
    after = Gate(
        gate.tier,
        gate.heard.at[tier].set(count),
        gate.mean.at[tier].set(mean),
        gate.squares.at[tier].set(squares),
        gate.off.at[tier].set(gate.off[tier] | fails),
    )
    known = jnp.isfinite(gain)
    return Gate(*(jnp.where(known, new, old) for new, old in zip(after, gate, strict=True)))
