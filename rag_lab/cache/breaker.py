"""The circuit breaker: leave a server that fails alone for a while, then ask with one call.

Nygard 2007, "Release It!", chapter 5. closed → (enough failures) → open → (after a while) → one probe: closed
again if it succeeds, open for another while if it fails. A while is cooldown_s, or longer where failing takes
long: waiting for probes takes at most a tenth of the time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

FORGIVEN = 0.1  # of a failure by each success: a server that fails more than one call in ten is left alone too
SHARE = 0.1  # of the time that may be spent on waiting for probes


class Breaker:
    """Who may call. failures: in a row, or so many more than are forgiven, until it opens.

    Every call that `allows` must end in `succeed` or `fail`. Safe for threads.
    """

    def __init__(self, failures: int, cooldown_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.failures, self.cooldown_s, self._now = failures, cooldown_s, now
        self._lock = Lock()
        self._failed, self._probe_at = 0.0, 0.0

    def allows(self) -> bool:
        """Whether to call now; of those that ask while it is open, one may after each while."""
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

    def fail(self, took_s: float) -> bool:
        """The call failed, after so long; whether it was the one that opened the breaker."""
        with self._lock:
            was_open = self._failed >= self.failures
            self._failed += 1
            self._probe_at = self._now() + max(self.cooldown_s, took_s / SHARE)
            return self._failed >= self.failures and not was_open
