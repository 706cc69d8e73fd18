"""How much of objective space a set dominates, up to a reference point; and how much each point alone.

Two objectives: sort by the first and add up strips. Three: sort by the third and add up slabs, each as thick as
the step to the next point and as large as the area of all points so far (dimension sweep: Fonseca, Paquete and
López-Ibáñez 2006, IEEE CEC, in the O(N²) form without a tree, which suits vector units). A point's own share is
what its box holds beyond the other points cut to that box (Bringmann and Friedrich 2010, Evol. Comput. 18(3);
While, Bradstreet and Barone 2012, IEEE Trans. Evol. Comput. 16(1)), which loses no digits in a difference of
two large volumes.

Objectives are minimised (see `pareto`). Results are exact up to the rounding of the inputs' type: float32 inside
programs of float32, 1e-9 and better with float64 inputs under `jax.enable_x64` (`metrics.economy` does so).

Shapes: N points, M objectives (2 or 3).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def hypervolume(
    points: Float[Array, "N M"], reference: Float[Array, " M"], real: Bool[Array, " N"]
) -> Float[Array, ""]:
    """The volume between the real points and the reference; what lies beyond the reference counts for nothing."""
    inside = jnp.where(real[:, None], jnp.minimum(points, reference), reference)
    if inside.shape[1] == 2:
        by_first = inside[jnp.argsort(inside[:, 0])]
        return _area(by_first, reference)
    if inside.shape[1] != 3:
        raise ValueError(f"hypervolume is for 2 or 3 objectives, not {inside.shape[1]}")
    by_first = inside[jnp.argsort(inside[:, 0])]
    depth = jnp.sort(inside[:, 2])
    thickness = jnp.diff(depth, append=reference[2:])

    def slab(lowest: Float[Array, ""]) -> Float[Array, ""]:
        reached = (by_first[:, 2] <= lowest)[:, None]
        return _area(jnp.where(reached, by_first[:, :2], reference[:2]), reference[:2])

    return (jax.vmap(slab)(depth) * thickness).sum()


def contributions(
    points: Float[Array, "N M"], reference: Float[Array, " M"], real: Bool[Array, " N"]
) -> Float[Array, " N"]:
    """What the volume would lose without each point: 0 for dominated points, for duplicates and for padding."""

    def alone(place: Array) -> Float[Array, ""]:
        own = jnp.minimum(points[place], reference)
        others = real.at[place].set(False)
        box = jnp.prod(reference - own)
        rest = hypervolume(jnp.maximum(points, own), reference, others)
        covered = ((points <= own).all(axis=1) & others).any()
        return jnp.where(covered | ~real[place], 0, jnp.maximum(box - rest, 0))

    return jax.lax.map(alone, jnp.arange(points.shape[0]))


def _area(by_first: Float[Array, "N 2"], reference: Float[Array, " 2"]) -> Float[Array, ""]:
    """The area of points in the order of their first objective, none beyond the reference."""
    width = reference[0] - by_first[:, 0]
    floor = jax.lax.cummin(by_first[:, 1])
    before = jnp.concatenate([reference[1:], floor[:-1]])
    return (width * (before - floor)).sum()
