"""A layer remembers one kind of value: embeddings, evidence, or explanations (answers).

A layer adds to a store the times, the counters and single flight: of all who miss a key at once, in this process
or another, one computes. Whatever a store does, an answer is computed where it is not remembered, and what is
served is what was computed under exactly this key.

The clock is the caller's and may be virtual; a value is served while its age by that clock lies within its time to
live, whatever the store still holds. Values from a future further than SKEW_S are not served: a clock was moved.
Refreshing before the end is XFetch (Vattani, Chierichetti, Lowenstein 2015, "Optimal Probabilistic Cache Stampede
Prevention", PVLDB 8).
"""

from __future__ import annotations

import math
import random
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Generic, NamedTuple, Protocol, TypeVar, cast

from rag_lab.cache.codec import Entry, Form, decode, decode_rows, encode
from rag_lab.cache.counters import Counters, Counts
from rag_lab.cache.flights import Flight, Flights
from rag_lab.cache.keys import Scope
from rag_lab.cache.store import Claim, Item, Store

Value = TypeVar("Value")
Clock = Callable[[], float]
# Values for the positions asked, in their order.
Compute = Callable[[list[int]], Sequence[Value]]
Lend = Callable[[list[int]], Mapping[int, Value]]  # for some of the positions asked


class Rules(NamedTuple):
    """How a layer remembers.

    ttl_s: how long a value lives. negative_ttl_s: one that says that nothing was found. jitter: the share of its
    time by which a life is shortened at most, at random, so that values written together do not end together.
    early_refresh: XFetch's β; 0: values are computed anew only after their end. hold_s: how long one process may
    keep others waiting for a value; 0: they do not wait. compress_above: bytes from which zstd is tried.
    """

    ttl_s: float
    negative_ttl_s: float
    jitter: float
    early_refresh: float
    hold_s: float
    compress_above: int


SKEW_S = 1.0  # by which machines' clocks may differ
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.002, 0.05  # between two looks at what another process is computing


class Remembers(Protocol[Value]):
    """What a stage sees of a layer."""

    def ask(
        self, scope: Scope, texts: Sequence[str], compute: Compute[Value], details: Sequence[bytes] | None = None
    ) -> Sequence[Value]:
        """A value for each question; `compute` is given the positions of those that nobody remembers."""
        ...


class Found(NamedTuple, Generic[Value]):
    """What was read: values, None where there is none, and the positions of those; due: of values that it is time to
    compute anew."""

    values: Sequence[Value | None]
    missing: list[int]
    due: list[int]


class Through:
    """The layer that remembers nothing."""

    def ask(
        self, scope: Scope, texts: Sequence[str], compute: Compute[Any], details: Sequence[bytes] | None = None
    ) -> list[Any]:
        """Compute them all."""
        return list(compute(list(range(len(texts)))))


class Layer(Generic[Value]):
    """One kind of value over a store that raises nothing. Safe for threads."""

    def __init__(self, form: Form[Value], store: Store, rules: Rules, clock: Clock = time.time) -> None:
        self.form, self.store, self.rules, self._clock = form, store, rules, clock
        self._counters = Counters()
        self._flights: Flights[Value] = Flights()

    def counts(self) -> Counts:
        """The numbers so far, but for evictions, which the store knows."""
        return self._counters.snapshot()

    def ask(
        self, scope: Scope, texts: Sequence[str], compute: Compute[Value], details: Sequence[bytes] | None = None
    ) -> Sequence[Value]:
        """A value for each question; see `get_or_compute_many`."""
        return self.get_or_compute_many(scope.keys(texts, details), compute)

    def get_many(self, keys: Sequence[bytes]) -> Sequence[Value | None]:
        """What is remembered under these keys; None where nothing is."""
        return self._read(keys).values

    def put_many(self, values: Mapping[bytes, Value], cost_s: float = 0.0) -> None:
        """Remember these values, one at least. cost_s: what computing one of them took."""
        items = [self.item(key, value, cost_s) for key, value in values.items()]
        self.store.put_many(items)
        self._counters.add(bytes_written=sum(len(item.value) for item in items))

    def get_or_compute_many(
        self, keys: Sequence[bytes], compute: Compute[Value], lend: Lend[Value] | None = None
    ) -> Sequence[Value]:
        """A value for each key. `compute` gets the positions of what is not remembered, each key once, and is
        called by one caller at a time for a key; what it raises is raised here, and is not remembered. What `lend`
        has for some of them is served instead, and not remembered under their keys either."""
        values, missing, due = self._read(keys)
        if lend and missing:
            lent = lend(missing)
            values = [lent.get(place, value) for place, value in enumerate(values)]
            missing = [place for place in missing if place not in lent]
        found = self._fill({keys[place]: place for place in missing}, compute) if missing else {}
        if due:
            found |= self._refresh({keys[place]: place for place in due}, compute)
        whole = values if not found else [found.get(*one) for one in zip(keys, values, strict=True)]
        return cast(Sequence[Value], whole)

    def borrow(self, keys: Mapping[int, bytes]) -> dict[int, Value]:
        """What is remembered under the keys of near questions, by position, alive and whole."""
        data = self.store.get_many(list(keys.values())) if keys else []
        now_s = self._clock()
        lent: dict[int, Value] = {}
        for (place, key), one in zip(keys.items(), data, strict=True):
            entry = None if one is None else decode(self.form, key, one)
            if entry is not None and _alive(entry, now_s):
                lent[place] = entry.value
        self._counters.add(near_hits=len(lent), bytes_read=sum(len(one) for one in data if one is not None))
        return lent

    def disown(self, keys: Sequence[bytes]) -> None:
        """These values, one at least, were served and proved wrong: count and forget them."""
        self.store.delete_many(keys)
        self._counters.add(false_hits=len(keys))

    # Reading

    def _read(self, keys: Sequence[bytes]) -> Found[Value]:
        if not keys:
            return Found([], [], [])
        started = time.perf_counter()
        data = self.store.get_many(keys)
        now_s = self._clock()
        whole = self._whole(keys, data, now_s)
        if whole is not None:
            size = len(keys) * len(data[0] or b"")
            self._counters.read(time.perf_counter() - started, hits=len(keys), bytes_read=size)
            return Found(whole, [], [])
        values: list[Value | None] = []
        missing: list[int] = []
        due: list[int] = []
        expired: list[bytes] = []
        corrupt: list[bytes] = []
        size = 0
        for key, one in zip(keys, data, strict=True):
            value = None
            if one is not None:
                size += len(one)
                entry = decode(self.form, key, one)
                if entry is None:
                    corrupt.append(key)
                elif not _alive(entry, now_s):
                    expired.append(key)
                else:
                    value = entry.value
                    if self._is_due(entry, now_s):
                        due.append(len(values))
            if value is None:
                missing.append(len(values))
            values.append(value)
        self._counters.read(
            time.perf_counter() - started, hits=len(keys) - len(missing), misses=len(missing), expired=len(expired),
            corrupt=len(corrupt), bytes_read=size,
        )  # fmt: skip
        if expired or corrupt:
            self.store.delete_many(expired + corrupt)
        return Found(values, missing, due)

    def _whole(self, keys: Sequence[bytes], data: Sequence[bytes | None], now_s: float) -> Sequence[Value] | None:
        """A batch of vectors that are all there and alive, as one matrix; None where it is not such a batch."""
        if len(keys) == 1 or not self.form.vector or self.rules.early_refresh:
            return None
        rows = decode_rows(self.form, keys, data)
        if rows is None:
            return None
        alive = rows.written_s.max() <= now_s + SKEW_S and now_s < rows.expires_s.min()
        return cast(Sequence[Value], rows.vectors) if alive else None

    def _is_due(self, entry: Entry[Value], now_s: float) -> bool:
        """XFetch: the nearer the end and the dearer the value, the likelier."""
        early = self.rules.early_refresh
        if not early:
            return False
        ahead_s = -entry.cost_s * early * math.log(1.0 - random.random())
        return now_s + ahead_s >= entry.expires_s

    # Writing

    def item(self, key: bytes, value: Value, cost_s: float) -> Item:
        """What is to be stored of a value, with the life that it is given."""
        rules = self.rules
        whole_s = rules.negative_ttl_s if self.form.is_negative(value) else rules.ttl_s
        ttl_s = whole_s * (1.0 - rules.jitter * random.random())
        now_s = self._clock()
        data = encode(
            self.form, key, value, written_s=now_s, expires_s=now_s + ttl_s, cost_s=cost_s,
            compress_above=rules.compress_above,
        )  # fmt: skip
        return Item(key, data, ttl_s)

    # Computing once

    def _fill(self, place: Mapping[bytes, int], compute: Compute[Value]) -> dict[bytes, Value]:
        """Values for the missing keys: computed here, or by whoever is at it already."""
        with self._boarded(place) as (mine, theirs, found):
            found |= self._compute({key: place[key] for key in mine}, compute)
        for key, flight in theirs.items():
            value = flight.wait()
            if value is None:  # whoever computed it failed; that need not happen to us
                value = compute([place[key]])[0]
            found[key] = value
        self._counters.add(waited=len(theirs))
        return found

    def _refresh(self, place: Mapping[bytes, int], compute: Compute[Value]) -> dict[bytes, Value]:
        """Fresh values for keys whose old ones still serve; nothing for those that others are refreshing."""
        with self._boarded(place) as (mine, _, found), self._claimed(mine) as claims:
            found |= self._lead({key: place[key] for key, claim in claims.items() if claim.mine}, compute)
        self._counters.add(refreshed=len(found))
        return found

    def _compute(self, place: Mapping[bytes, int], compute: Compute[Value]) -> dict[bytes, Value]:
        """Values for keys that no other thread of this process computes; other processes are waited for."""
        found: dict[bytes, Value] = {}
        waiting, pause_s = list(place), FIRST_PAUSE_S
        deadline = time.monotonic() + self.rules.hold_s
        while waiting:
            if time.monotonic() > deadline:  # whoever claimed them is too slow, or is no more
                return found | self._lead({key: place[key] for key in waiting}, compute)
            with self._claimed(waiting) as claims:
                for key, claim in claims.items():
                    entry = None if claim.value is None else decode(self.form, key, claim.value)
                    if entry is not None and _alive(entry, self._clock()):
                        found[key] = entry.value
                leading = [key for key, claim in claims.items() if claim.mine and key not in found]
                found |= self._lead({key: place[key] for key in leading}, compute)
            waiting = [key for key in waiting if key not in found]
            if waiting:
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        return found

    def _lead(self, place: Mapping[bytes, int], compute: Compute[Value]) -> dict[bytes, Value]:
        """Compute, and remember."""
        if not place:
            return {}
        started = time.perf_counter()
        found = dict(zip(place, compute(list(place.values())), strict=True))
        self.put_many(found, cost_s=(time.perf_counter() - started) / len(found))
        return found

    @contextmanager
    def _boarded(
        self, place: Mapping[bytes, int]
    ) -> Iterator[tuple[list[bytes], dict[bytes, Flight[Value]], dict[bytes, Value]]]:
        """(keys for this thread to compute, flights of other threads, what was found: to be filled)."""
        found: dict[bytes, Value] = {}
        mine, theirs = self._flights.board(place)
        try:
            yield mine, theirs, found
        finally:
            self._flights.land(mine, found)

    @contextmanager
    def _claimed(self, keys: Sequence[bytes]) -> Iterator[dict[bytes, Claim]]:
        """Claims on keys, released in the end."""
        token = secrets.token_hex(8).encode()
        claims = dict(zip(keys, self.store.claim(keys, token, self.rules.hold_s), strict=True)) if keys else {}
        try:
            yield claims
        finally:
            mine = [key for key, claim in claims.items() if claim.mine]
            if mine and self.rules.hold_s:
                self.store.release(mine, token)


def _alive(entry: Entry[Any], now_s: float) -> bool:
    return entry.written_s <= now_s + SKEW_S and now_s < entry.expires_s
