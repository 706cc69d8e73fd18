"""Single flight: of all who miss a key at the same time, one computes and the others wait for it.

After the singleflight of groupcache. Among the threads of one process; across processes a store's claims do it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from threading import Event, Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Flight(Generic[Value]):
    """One key being computed. value: None until it has landed, and for ever if the computation failed."""

    def __init__(self) -> None:
        self._landed = Event()
        self._value: Value | None = None

    def wait(self) -> Value | None:
        """The value, when it is there; None if whoever computed it failed."""
        self._landed.wait()
        return self._value

    def land(self, value: Value | None) -> None:
        """Let all who wait have it."""
        self._value = value
        self._landed.set()


class Flights(Generic[Value]):
    """The keys in the air."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._flights: dict[bytes, Flight[Value]] = {}

    def board(self, keys: Iterable[bytes]) -> tuple[list[bytes], dict[bytes, Flight[Value]]]:
        """The keys that the caller must compute and then `land`, and the flights of others to wait for."""
        mine, theirs = [], {}
        with self._lock:
            for key in keys:
                if key in self._flights:
                    theirs[key] = self._flights[key]
                else:
                    self._flights[key] = Flight()
                    mine.append(key)
        return mine, theirs

    def land(self, keys: Iterable[bytes], values: Mapping[bytes, Value]) -> None:
        """End the flights of these keys; those without a value have failed."""
        with self._lock:
            ended = [(key, self._flights.pop(key)) for key in keys]
        for key, flight in ended:
            flight.land(values.get(key))
