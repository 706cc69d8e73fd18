"""What the user wants: a preference, limits, and a measure of distance to the ideal; and whether it can be had.

Shapes: A actions, M = 3 objectives, minimised: cost, −quality, −diversity.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import product
from typing import Annotated, Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from pydantic import Field

from rag_lab.economy.estimates import COST
from rag_lab.errors import ConfigError
from rag_lab.kernels import choice

Weight = Annotated[float, Field(ge=0)]
Distance = Literal["chebyshev", "euclidean"]


class Preference(NamedTuple):
    """How much each objective matters; only the proportions do."""

    cost: Weight
    quality: Weight
    diversity: Weight

    def weights(self) -> Float[Array, " M"]:
        """The weights, which sum to 1; ConfigError where all are 0."""
        total = sum(self)
        if not total > 0:
            raise ConfigError("router.preference: all weights are 0; give one of cost, quality, diversity a weight")
        return jnp.array(self, jnp.float32) / total


def lattice(steps: int) -> dict[str, Preference]:
    """Preferences spread evenly over all proportions, in shares of 1/steps, from cost alone to diversity alone; named
    by their shares.
    """
    found = {}
    for cost, quality in product(range(steps, -1, -1), range(steps, -1, -1)):
        diversity = steps - cost - quality
        if diversity >= 0:
            one = Preference(cost / steps, quality / steps, diversity / steps)
            found[" · ".join(f"{share:.0%} {name}" for name, share in one._asdict().items() if share)] = one
    return found


class Limits(NamedTuple):
    """What an answer must keep to, by estimate; null is no limit. usd_per_1k: of 1,000 such answers."""

    usd_per_1k: Weight | None
    quality: Annotated[float, Field(ge=0, le=1)] | None
    diversity: Annotated[float, Field(ge=0, le=1)] | None

    def bounds(self) -> Float[np.ndarray, " M"]:
        """The same on the objectives: what each may not exceed."""
        cost = np.inf if self.usd_per_1k is None else self.usd_per_1k / 1000
        floors = [np.inf if floor is None else -floor for floor in (self.quality, self.diversity)]
        return np.array([cost, *floors], np.float32)


def measure(distance: Distance, augmentation: float) -> choice.Measure:
    """The measure of distance to the ideal. augmentation: ρ of the Chebyshev measure."""
    return partial(choice.chebyshev, augmentation=augmentation) if distance == "chebyshev" else choice.euclidean


def check(limits: Limits, believed: Mapping[str, Float[np.ndarray, "A M"]]) -> None:
    """ConfigError where no action keeps the limits in a domain, naming those that bind and what could be had.

    believed: each domain's objectives.
    """
    bounds = limits.bounds()
    for domain, objectives in believed.items():
        kept = objectives <= bounds
        if not kept.all(axis=1).any():
            raise ConfigError(f"router.limits: no action keeps them in '{domain}'; {_remedy(limits, objectives)}")


def _remedy(limits: Limits, objectives: Float[np.ndarray, "A M"]) -> str:
    """Which single limit to move, and how far; where none alone would do, the best of each without the others."""
    bounds = limits.bounds()
    given = np.flatnonzero(np.isfinite(bounds))
    others = {one: np.delete(objectives <= bounds, one, axis=1).all(axis=1) for one in given}
    moves = [_move(limits, int(one), objectives[others[one], one].min()) for one in given if others[one].any()]
    if moves:
        return " or ".join(moves)
    return " and ".join(_move(limits, int(one), objectives[:, one].min()) for one in given) + " at least"


def _move(limits: Limits, number: int, best: float) -> str:
    """The advice for one limit, rounded to its loose side, so that following it helps."""
    name, given = Limits._fields[number], limits[number]
    if number == COST:
        return f"raise router.limits.{name}={given:g} to {np.ceil(best * 1e6) / 1e3:g}"
    return f"lower router.limits.{name}={given:g} to {np.floor(-best * 1e3) / 1e3:g}"
