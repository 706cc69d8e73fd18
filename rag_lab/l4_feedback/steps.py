"""The feedback filter's steps in NumPy, for `filters.vectorized` and, part by part, for `filters.pool`.

Every step works on a part of the items and returns a table that adds up over parts; where a step needs the
sum of another's tables, all parts must be through with that. Within a part, arithmetic goes by blocks that
stay in the processor's cache. Count and sum share one float64 (count · PACK + sum, exact below 2⁵³), so that
one bincount gives both. See `rag_lab.l4_feedback.feedback` for the model and its sources.

Shapes: N items, U users, Q queries, G groups (domain + 1; the first is the unknown domain), V = 2·GRAIN + 1
differences.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int, Int8, Int16, Int32, Int64, UInt32

from rag_lab.l4_feedback.feedback import (
    GRAIN,
    MAX_AGE_S,
    MAX_DOMAINS,
    SCALE,
    FeedbackBatch,
    Reason,
    Settings,
)
from rag_lab.l4_feedback.tables import DIFFERENCES, PACK

BLOCK = 1 << 15  # items; a handful of temporaries of that length fits a core's second-level cache
RUN = 16  # items of the same time: more than read one answer at once
SPARSE = 4  # ids are numbered anew where the largest is more than so many times the number of items


class Desk(NamedTuple):
    """The columns that the steps work on, beside those of the batch (made `neutral`).

    hashed: of user, query and time; grain: the rating in grains; mean: the others', -1 where there are none;
    reliability: the user's; trusted: judged, and the user's reliability suffices; place: of the difference
    from trusted others in the table of differences, its end where there is none or the user is not trusted.
    """

    age_s: Float32[np.ndarray, " N"]
    hashed: UInt32[np.ndarray, " N"]
    grain: Int16[np.ndarray, " N"]
    mean: Int16[np.ndarray, " N"]
    reliability: Int16[np.ndarray, " N"]
    place: Int32[np.ndarray, " N"]
    judged: Bool[np.ndarray, " N"]
    trusted: Bool[np.ndarray, " N"]
    weight: Float32[np.ndarray, " N"]
    reason: Int8[np.ndarray, " N"]


class Ids(NamedTuple):
    """Each item's row in the tables of users and of queries, in the type that NumPy indexes by."""

    user: Int64[np.ndarray, " N"]
    query: Int64[np.ndarray, " N"]


class Sizes(NamedTuple):
    """How many rows the tables have."""

    users: int
    queries: int
    groups: int


def desk(items: int) -> Desk:
    """An empty desk."""
    kinds = (np.float32, np.uint32, np.int16, np.int16, np.int16, np.int32, bool, bool, np.float32, np.int8)
    return Desk(*(np.empty(items, kind) for kind in kinds))


def screen(batch: FeedbackBatch, now: float, skew_s: float, desk: Desk, part: slice) -> bool:
    """Fill `judged` with what is valid, `reason` with whether it is, and `age_s`. Whether all are valid."""
    for block in _blocks(part):
        user, query, domain, rating, time_s, dwell_s, position = (column[block] for column in batch)
        with np.errstate(over="ignore"):  # between the largest numbers
            age = now - time_s
        valid = (rating >= 0) & (rating <= 1)
        valid &= (dwell_s >= 0) & (dwell_s < np.inf)
        valid &= (user | query) >= 0
        valid &= (domain >= -1) & (domain < MAX_DOMAINS)
        valid &= position >= 1
        valid &= np.isfinite(time_s) & (age >= -skew_s)
        desk.judged[block] = valid
        desk.reason[block] = np.where(valid, np.int8(Reason.KEPT), np.int8(Reason.INVALID))
        desk.age_s[block] = np.fmin(np.fmax(age, 0), MAX_AGE_S)
    return bool(desk.judged[part].all())


def neutralise(batch: FeedbackBatch, desk: Desk, part: slice) -> None:
    """Overwrite what is not valid by what can be computed with and indexed by. Times stay: they order the log."""
    for column, value in zip(batch, (0, 0, -1, 0, None, 0, 1), strict=True):
        if value is not None:
            np.copyto(column[part], value, where=~desk.judged[part], casting="unsafe")


def read(batch: FeedbackBatch, desk: Desk, part: slice) -> None:
    """Fill `grain`."""
    for block in _blocks(part):
        desk.grain[block] = np.rint(batch.rating[block] * np.float32(GRAIN))


def mark_neighbouring_twins(batch: FeedbackBatch, desk: Desk) -> bool:
    """Of judged items with the same user, query and time leave the first, if the log is in order of time and no
    more than RUN items have the same; whether it is. Nothing needs sorting then, for equal items are near.
    """
    time_s, user = batch.time_s, batch.user
    if not (time_s[1:] >= time_s[:-1]).all() or (time_s[RUN:] == time_s[:-RUN]).any():
        return False
    for distance in range(1, RUN):
        earlier = np.flatnonzero(user[distance:] == user[:-distance])
        later = earlier + distance
        same = (batch.query[later] == batch.query[earlier]) & (time_s[later] == time_s[earlier])
        same &= (desk.reason[later] != Reason.INVALID) & (desk.reason[earlier] != Reason.INVALID)
        _leave(desk, later[same])
    return True


def scramble(batch: FeedbackBatch, desk: Desk, part: slice) -> None:
    """Fill `hashed`."""
    odd, other = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # large odd numbers: they mix well
    for block in _blocks(part):
        mixed = (batch.time_s[block] + 0.0).view(np.uint64) * odd  # + 0.0 makes -0.0 equal to 0.0 in its bits too
        mixed ^= mixed >> np.uint64(29)
        mixed += batch.user[block].astype(np.uint64) << np.uint64(32) | batch.query[block].astype(np.uint64)
        mixed *= other
        desk.hashed[block] = mixed >> np.uint64(32)


def mark_twins(batch: FeedbackBatch, desk: Desk, places: Int[np.ndarray, " n"] | slice) -> None:
    """Of judged items with the same user, query and time leave the first; `places` ascends, and equal items
    have either all or none of their places in it.
    """
    hashed, judged = desk.hashed[places], desk.judged[places]
    ordered = np.sort(hashed if judged.all() else hashed[judged])
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if not len(twice):
        return
    # Few hashes occur twice by accident: a look-up by their upper half leaves few items to look at closely.
    seen = np.zeros(1 << 16, bool)
    seen[twice >> np.uint32(16)] = True
    near = np.flatnonzero(seen[hashed >> np.uint32(16)] & judged)
    near = near if isinstance(places, slice) else places[near]
    user, query, time_s = batch.user[near], batch.query[near], batch.time_s[near]
    order = np.lexsort((time_s, query, user))  # stable, so the first of equals comes first
    user, query, time_s = user[order], query[order], time_s[order]
    again = (user[1:] == user[:-1]) & (query[1:] == query[:-1]) & (time_s[1:] == time_s[:-1])
    _leave(desk, near[order[1:][again]])


def _leave(desk: Desk, twins: Int[np.ndarray, " n"]) -> None:
    desk.judged[twins] = False
    desk.reason[twins] = Reason.DUPLICATE


def prepare(batch: FeedbackBatch, now: float, skew_s: float) -> tuple[FeedbackBatch, Desk]:
    """Screen, read and mark twins, all in one part; the batch is copied only where something is not valid."""
    everything = slice(0, len(batch.user))
    filled = desk(everything.stop)
    if not screen(batch, now, skew_s, filled, everything):
        batch = FeedbackBatch(*(column.copy() for column in batch))
        neutralise(batch, filled, everything)
    read(batch, filled, everything)
    if everything.stop <= BLOCK or not mark_neighbouring_twins(batch, filled):  # a few are sorted in no time
        scramble(batch, filled, everything)
        mark_twins(batch, filled, everything)
    return batch, filled


def by_query(ids: Ids, desk: Desk, part: slice, queries: int) -> Float64[np.ndarray, " Q"]:
    """Count and sum of grains of each query's judged items."""
    packed = np.empty(part.stop - part.start)
    for block in _blocks(part):
        here = slice(block.start - part.start, block.stop - part.start)
        np.multiply(desk.grain[block] + float(PACK), desk.judged[block], out=packed[here])
    return np.bincount(ids.query[part], packed, queries)


def distrusted(ids: Ids, desk: Desk, part: slice, queries: int) -> Float64[np.ndarray, " Q"]:
    """What of `by_query` comes from judged items whose user is not trusted: to be taken away from it."""
    places = part.start + np.flatnonzero(desk.judged[part] & ~desk.trusted[part])
    return np.bincount(ids.query[places], desk.grain[places] + float(PACK), queries)


def compare(
    ids: Ids, desk: Desk, part: slice, packed: Float64[np.ndarray, " Q"], counted: Bool[np.ndarray, " N"]
) -> None:
    """Fill `mean` of judged items. packed: count and sum of each query's `counted` items."""
    for block in _blocks(part):
        rest = np.take(packed, ids.query[block])
        rest -= (desk.grain[block] + float(PACK)) * counted[block]
        count = np.floor(rest * (1 / PACK))
        rest -= count * PACK
        rest += np.floor(count * 0.5)
        rest /= np.maximum(count, 1)  # exact enough to round down: the quotient is below 2⁸, the divisor below 2²²
        shared = desk.judged[block] & (count > 0)
        desk.mean[block] = np.where(shared, rest.astype(np.int32), np.int32(-1))


def by_user(ids: Ids, desk: Desk, part: slice, users: int) -> Float64[np.ndarray, " U"]:
    """Count of each user's compared items, and sum of their distances from the others' means."""
    packed = np.empty(part.stop - part.start)
    for block in _blocks(part):
        mean = desk.mean[block]
        distance = np.abs(desk.grain[block] - mean) + float(PACK)
        np.multiply(distance, mean >= 0, out=packed[block.start - part.start : block.stop - part.start])
    return np.bincount(ids.user[part], packed, users)


def trust(ids: Ids, desk: Desk, part: slice, reliable: Int16[np.ndarray, " U"], least: int) -> None:
    """Fill `reliability` and `trusted`."""
    for block in _blocks(part):
        own = np.take(reliable, ids.user[block])
        desk.reliability[block] = own
        desk.trusted[block] = desk.judged[block] & (own >= least)


def differ(batch: FeedbackBatch, desk: Desk, part: slice, groups: int) -> Int64[np.ndarray, "G V"]:
    """Fill `place`; how often each difference of trusted users from `mean` occurs in each group."""
    table = np.zeros(groups * DIFFERENCES + 1, np.int64)
    for block in _blocks(part):
        mean = desk.mean[block]
        place = (batch.domain[block] + 1) * DIFFERENCES + (desk.grain[block] - mean + GRAIN)
        place = np.where(desk.trusted[block] & (mean >= 0), place, np.int32(len(table) - 1))
        desk.place[block] = place
        table += np.bincount(place, minlength=len(table))
    return table[:-1].reshape(groups, DIFFERENCES)


def decide(
    batch: FeedbackBatch, desk: Desk, part: slice, verdicts: Int8[np.ndarray, "G V"], settings: Settings
) -> None:
    """Fill `reason` and `weight`."""
    table = np.append(verdicts, np.int8(Reason.KEPT))  # the last for what is not compared
    correction = ((np.arange(settings.depth + 1) / settings.depth) ** settings.severity).astype(np.float32)
    for block in _blocks(part):
        reason = desk.reason[block]
        reason += np.take(table, desk.place[block])  # only what is judged is compared, and has no reason yet
        belief = desk.reliability[block] * np.float32(1 / SCALE)
        belief *= -np.expm1(batch.dwell_s[block] * np.float32(-1 / settings.attention_s))
        reason += ((reason == 0) & (belief < np.float32(settings.min_trust))) * np.int8(Reason.LOW_CONFIDENCE)
        belief *= np.take(correction, np.minimum(batch.position[block], settings.depth))
        belief *= np.exp(desk.age_s[block] * np.float32(-settings.rate))
        np.multiply(belief, reason == 0, out=desk.weight[block])


def numbered(batch: FeedbackBatch) -> tuple[Ids, Sizes]:
    """Users and queries as rows of tables that are not much longer than the batch, and the tables' sizes."""
    columns = []
    for column in (batch.user, batch.query):
        sparse = column.max(initial=0) > SPARSE * len(column) + 1024
        columns.append(np.unique(column, return_inverse=True)[1] if sparse else column.astype(np.intp))
    users, queries = (int(column.max(initial=-1)) + 1 for column in columns)
    return Ids(*columns), Sizes(users, queries, int(batch.domain.max(initial=-1)) + 2)


def _blocks(part: slice) -> Iterator[slice]:
    """The part in blocks."""
    for start in range(part.start, part.stop, BLOCK):
        yield slice(start, min(start + BLOCK, part.stop))
