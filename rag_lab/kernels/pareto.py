"""Pareto dominance among a finite set of points: who is dominated, in which front, how crowded.

Every objective is minimised: negate what should be large. This holds for all kernels that take objectives
(`hypervolume`, `choice`, `nsga2`), and is said here alone.

One point dominates another if it is no worse in any objective and better in at least one (Pareto; Deb et al.
2002, IEEE Trans. Evol. Comput. 6(2), for the fronts and the crowding distance). Equal points do not dominate each
other, so all duplicates of a non-dominated point are kept. Decisions are exact: floats are compared as integers of
the same order, because a device may take subnormal numbers for 0. Points must not be NaN; padding is told by
`real`, and neither dominates nor belongs to a front.

Shapes: N points, M objectives, K rivals.
"""

from __future__ import annotations

from functools import reduce

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

UNROLL = 16  # rivals compared in one pass over the points: more only compile longer


def dominates(one: Float[Array, " M"], other: Float[Array, " M"]) -> Bool[Array, ""]:
    """Whether one point dominates another."""
    return _beats(_ordinal(one), _ordinal(other))


def dominated_by(
    points: Float[Array, "N M"], rivals: Float[Array, "K M"], real: Bool[Array, " K"]
) -> Bool[Array, " N"]:
    """Which points are dominated by at least one real rival."""
    columns = _ordinal(points).T
    unbeaten = jnp.zeros(points.shape[0], bool)

    def meet(
        beaten: Bool[Array, " N"], rival: tuple[Int[Array, " M"], Bool[Array, ""]]
    ) -> tuple[Bool[Array, " N"], None]:
        return beaten | (_beats(rival[0], columns) & rival[1]), None

    return jax.lax.scan(meet, unbeaten, (_ordinal(rivals), real), unroll=UNROLL)[0]


def nondominated(points: Float[Array, "N M"], real: Bool[Array, " N"]) -> Bool[Array, " N"]:
    """Which real points no other real point dominates."""
    return real & ~dominated_by(points, points, real)


def fronts(points: Float[Array, "N M"], real: Bool[Array, " N"]) -> Int[Array, " N"]:
    """The number of each point's front: 0 for the non-dominated, 1 for those that only they dominate, …

    N for padding.
    """
    keys = _ordinal(points)
    beats = jax.vmap(lambda one: jax.vmap(lambda other: _beats(one, other))(keys))(keys)

    def peel(
        state: tuple[Int[Array, " N"], Bool[Array, " N"], Int[Array, ""]],
    ) -> tuple[Int[Array, " N"], Bool[Array, " N"], Int[Array, ""]]:
        front, left, level = state
        best = left & ~(beats & left[:, None]).any(axis=0)
        return jnp.where(best, level, front), left & ~best, level + 1

    start = (jnp.full(points.shape[0], points.shape[0], jnp.int32), real, jnp.int32(0))
    return jax.lax.while_loop(lambda state: state[1].any(), peel, start)[0]


def crowding(points: Float[Array, "N M"], front: Int[Array, " N"]) -> Float[Array, " N"]:
    """Each point's crowding distance within its front: the sum over objectives of the gap between its neighbours.

    Gaps are shares of the front's range in the objective, 0 where it has none. The first and the last of a front
    in any objective are infinitely far; of equal values the order is that of the places.
    """
    return jnp.sum(jax.vmap(_gaps, in_axes=(1, None))(points, front), axis=0)


def _gaps(values: Float[Array, " N"], front: Int[Array, " N"]) -> Float[Array, " N"]:
    order = jnp.lexsort((values, front))
    value, group = values[order], front[order]
    edge = jnp.ones(1, bool)
    first = jnp.concatenate([edge, group[1:] != group[:-1]])
    last = jnp.concatenate([group[1:] != group[:-1], edge])
    count = values.shape[0]
    extent = jax.ops.segment_max(values, front, count + 1) - jax.ops.segment_min(values, front, count + 1)
    span = extent[group]
    gap = jnp.roll(value, -1) - jnp.roll(value, 1)
    share = jnp.where(span > 0, gap / jnp.where(span > 0, span, 1), 0)
    return jnp.zeros_like(values).at[order].set(jnp.where(first | last, jnp.inf, share))


def _beats(one: Int[Array, " M"], others: Int[Array, " M *N"]) -> Bool[Array, "*N"]:
    """Whether one point dominates others, which are given by columns."""
    no_worse = reduce(jnp.logical_and, [mine <= theirs for mine, theirs in zip(one, others, strict=True)])
    better = reduce(jnp.logical_or, [mine < theirs for mine, theirs in zip(one, others, strict=True)])
    return no_worse & better


def _ordinal(values: Float[Array, "*shape"]) -> Int[Array, "*shape"]:
    """Integers in the order of the floats; -0.0 and 0.0 are one."""
    bits = jax.lax.bitcast_convert_type(values, jnp.int32 if values.dtype == jnp.float32 else jnp.int64)
    return jnp.where(bits < 0, jnp.iinfo(bits.dtype).min - bits, bits)
