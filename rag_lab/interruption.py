"""Signals that end a process as Ctrl-C does: KeyboardInterrupt, raised where it can be caught."""

from __future__ import annotations

import signal
from types import FrameType

RETRY_S = 0.01


def listen(*signals: signal.Signals) -> None:
    """Let these signals of this process interrupt it, so that what it does is recorded and cleaned up."""
    for number in (*signals, signal.SIGALRM):
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt where it can be caught: within JAX's garbage collection callback it is lost."""
    where = frame
    while where is not None:
        if where.f_code.co_name == "_xla_gc_callback":
            signal.setitimer(signal.ITIMER_REAL, RETRY_S)  # comes back as SIGALRM
            return
        where = where.f_back
    raise KeyboardInterrupt
