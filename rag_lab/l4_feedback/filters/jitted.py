"""The filter in JAX: one jitted program over all items, on whatever device there is. Its configuration's name
is `jax`.

Validity and duplicates are found on the host, where times are float64; the device sees ages. Items are padded
to a power of two and tables to a power of four, so that few programs are compiled. `judge`, the part on the
device, is pure: it may be traced inside jit, vmap and scan. See `rag_lab.l4_feedback.feedback` for the model
and its sources.

Shapes: N items, U users, Q queries, G groups (domain + 1; the first is the unknown domain), V
differences.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.kernels import confidence, outlier
from rag_lab.kernels.decay import retention
from rag_lab.l4_feedback import steps
from rag_lab.l4_feedback.feedback import (
    COST,
    GRAIN,
    SCALE,
    UNREAD,
    AttentionTime,
    Depth,
    FeedbackBatch,
    Filtered,
    HalfLife,
    Limit,
    PriorItems,
    Reason,
    Settings,
    Severity,
    Share,
    Skew,
    as_filtered,
    checked,
)

DIFFERENCES = 2 * GRAIN + 1
LEAST_ITEMS, LEAST_ROWS, LEAST_GROUPS = 128, 1024, 4


class Items(NamedTuple):
    """What the device sees of N items. judged: valid and no duplicate; what is not judged is ignored, but
    must be in range. user, query: rows of tables; group: domain + 1.
    """

    judged: Bool[Array, " N"]
    user: Int[Array, " N"]
    query: Int[Array, " N"]
    group: Int[Array, " N"]
    rating: Float[Array, " N"]
    age_s: Float[Array, " N"]
    dwell_s: Float[Array, " N"]
    position: Int[Array, " N"]


def judge(
    items: Items, settings: Settings, users: int, queries: int, groups: int
) -> tuple[Float[Array, " N"], Int[Array, " N"]]:
    """Weight and reason of each item; where it is not judged, 0 and KEPT. Sizes and settings are static."""
    grain = jnp.rint(items.rating * GRAIN).astype(jnp.int32)
    means, shared = _others(items, grain, items.judged, queries)
    first = _reliability(items, grain, means, shared, None, settings, users)
    believed = items.judged & (_look_up(first, items.user) >= settings.trusted)
    means, shared = _others(items, grain, believed, queries)
    second = _reliability(items, grain, means, shared, first, settings, users)
    reliability = _look_up(second, items.user)
    shared = shared & (reliability >= settings.trusted)
    outlying = _outliers(items.group, grain - means, shared, settings, groups)

    attention = jax.vmap(partial(confidence.attention, attention_s=settings.attention_s))(items.dwell_s)
    trust = reliability.astype(jnp.float32) / SCALE * attention
    low = trust < settings.min_trust
    reason = jnp.where(items.judged & (outlying == 0) & low, jnp.int8(Reason.LOW_CONFIDENCE), outlying)
    correct = partial(confidence.position_correction, severity=settings.severity, depth=settings.depth)
    left = jax.vmap(partial(retention, rate=settings.rate))(items.age_s)
    weight = trust * jax.vmap(correct)(items.position) * left
    return jnp.where(items.judged & (reason == 0), weight, 0), reason


def _others(
    items: Items, grain: Int[Array, " N"], counted: Bool[Array, " N"], queries: int
) -> tuple[Int[Array, " N"], Bool[Array, " N"]]:
    """The mean grains of the other counted items on each judged item's query, and whether there are any."""
    own, one = jnp.where(counted, grain, 0), counted.astype(jnp.int32)
    total = _look_up(_add(own, items.query, queries), items.query)
    count = _look_up(_add(one, items.query, queries), items.query) - one
    return jax.vmap(confidence.others_mean)(total, count, own), items.judged & (count > 0)


def _reliability(
    items: Items,
    grain: Int[Array, " N"],
    means: Int[Array, " N"],
    shared: Bool[Array, " N"],
    before: Int[Array, " U"] | None,
    settings: Settings,
    users: int,
) -> Int[Array, " U"]:
    """Each user's reliability in parts of SCALE, read for the first time, UNREAD where there was no comparison, or
    again: whoever was compared only before keeps that.
    """
    apart = _add(jnp.where(shared, jnp.abs(grain - means), 0), items.user, users)
    count = _add(shared.astype(jnp.int32), items.user, users)
    shrink = partial(confidence.reliability, scale=SCALE, cost=COST)
    population, own = jnp.int32(settings.population_items), jnp.int32(settings.prior_items)
    everyone = shrink(apart.sum(), count.sum(), population, jnp.int32(settings.prior))
    each = jax.vmap(shrink, in_axes=(0, 0, None, None))(apart, count, own, everyone)
    if before is None:
        return jnp.where(count > 0, each, UNREAD)
    return jnp.where((count > 0) | (before == UNREAD), each, before)


def _outliers(
    group: Int[Array, " N"],
    difference: Int[Array, " N"],
    shared: Bool[Array, " N"],
    settings: Settings,
    groups: int,
) -> Int[Array, " N"]:
    """The reason, if any, that each item's difference from the others gives to drop it."""
    place = group * DIFFERENCES + difference + GRAIN
    counts = _add(shared.astype(jnp.int32), place, groups * DIFFERENCES).reshape(groups, DIFFERENCES)
    values = jnp.arange(DIFFERENCES) - GRAIN

    def verdicts(counts: Int[Array, " V"]) -> Int[Array, " V"]:
        spread = outlier.spread(counts)
        sigma = jax.vmap(outlier.sigma_z, in_axes=(0, None))(values, spread) > settings.sigma_limit
        robust = jax.vmap(outlier.robust_z, in_axes=(0, None))(values, spread) > settings.robust_limit
        reason = jnp.where(robust, jnp.int8(Reason.OUTLIER_ROBUST), jnp.int8(Reason.KEPT))
        return jnp.where(sigma, jnp.int8(Reason.OUTLIER_SIGMA), reason)

    table = _apart(jax.vmap(verdicts), shared.any(), counts)
    return jnp.where(shared, _look_up(table.ravel(), place), jnp.int8(Reason.KEPT))


def _add(values: Int[Array, " N"], rows: Int[Array, " N"], size: int) -> Int[Array, " rows"]:
    """The sum of each row's values."""
    return jnp.zeros(size, values.dtype).at[rows].add(values, mode="promise_in_bounds")


def _look_up(table: Array, rows: Int[Array, " N"]) -> Array:
    """The table's entry for each item."""
    return table.at[rows].get(mode="promise_in_bounds")


def _apart(make: Callable[..., Any], some: Bool[Array, ""], *given: Array) -> Any:
    """What `make` makes of the given arrays if there are `some` items at all, otherwise zeros.

    The branch keeps XLA from fusing the result into each of its uses, and so computing it again for every
    one.
    """

    def nothing(*given: Array) -> Any:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(make, *given))

    return jax.lax.cond(some, make, nothing, *given)


class Jitted(NamedTuple):
    """The filter."""

    settings: Settings

    def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
        """Judge a batch; see `feedback.Filter`."""
        batch = checked(batch, now)
        batch, desk = steps.prepare(batch, now, self.settings.skew_s)
        ids, sizes = steps.numbered(batch)
        count = len(batch.user)
        length = _bucket(count, LEAST_ITEMS, 2)
        columns = (
            desk.judged, ids.user, ids.query, batch.domain + 1,
            batch.rating, desk.age_s, batch.dwell_s, batch.position,
        )  # fmt: skip
        items = Items(*(_padded(column, length) for column in columns))
        rows = (_bucket(size, LEAST_ROWS, 4) for size in (sizes.users, sizes.queries))
        weight, reason = _judge(items, self.settings, *rows, _bucket(sizes.groups, LEAST_GROUPS, 2))
        return as_filtered(np.array(weight)[:count], np.asarray(reason)[:count] + desk.reason)

    def close(self) -> None:
        """Nothing is held."""


_judge = jax.jit(judge, static_argnames=("settings", "users", "queries", "groups"))


def _bucket(size: int, least: int, factor: int) -> int:
    """The smallest of least, least · factor, least · factor² … that is not below `size`."""
    while least < size:
        least *= factor
    return least


def _padded(column: np.ndarray, length: int) -> Any:
    """The column, int32 where it holds integers, with zeros at its end; the jitted call hands it to the device."""
    out = np.zeros(length, np.int32 if column.dtype.kind == "i" else column.dtype)
    out[: len(column)] = column
    return out


def build(
    *,
    half_life_days: HalfLife,
    skew_s: Skew,
    attention_s: AttentionTime,
    severity: Severity,
    depth: Depth,
    prior_reliability: Share,
    prior_items: PriorItems,
    population_items: PriorItems,
    min_trust: Share,
    sigma_limit: Limit,
    robust_limit: Limit,
) -> Jitted:
    """The filter; `feedback` says what each setting does."""
    return Jitted(
        Settings(
            half_life_days, skew_s, attention_s, severity, depth, prior_reliability, prior_items,
            population_items, min_trust, sigma_limit, robust_limit,
        )
    )  # fmt: skip
