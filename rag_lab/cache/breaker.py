"""The circuit breaker: leave a server that fails alone for a while, then ask with one call.

Nygard 2007, "Release It!", chapter 5. closed → (enough failures) → open → (after cooldown_s) → one probe: closed
again if it succeeds, open for another cooldown_s if it fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

FORGIVEN = 0.1  # of a failure by each success: a server that fails more than one call in ten is left alone too


class Breaker:
    """Who may call. failures: in a row, or so many more than are forgiven, until it opens.

    Every call that `allows` must end in `succeed` or `fail`. Safe for threads.
    """

    def __init__(self, failures: int, cooldown_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.failures, self.cooldown_s, self._now = failures, cooldown_s, now
        self._lock = Lock()
        self._failed, self._probe_at = 0.0, 0.0

    def allows(self) -> bool:
        """Whether to call now; of those that ask while it is open, one in each cooldown_s may."""
        if self._failed < self.failures:
            return True
        with self._lock:
            now = self._now()
            if self._failed >= self.failures and now < self._probe_at:
                return False
            self._probe_at = now + self.cooldown_s
            return True

    def succeed(self) -> bool:
        """The call went well; whether it was the one that closed the breaker."""
        if not self._failed:
            return False
        with self._lock:
            was_open = self._failed >= self.failures
            self._failed = 0.0 if was_open else max(0.0, self._failed - FORGIVEN)
            return was_open

    def fail(self) -> None:
        """The call failed."""
        with self._lock:
            self._failed += 1
            self._probe_at = self._now() + self.cooldown_s
