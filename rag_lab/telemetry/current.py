"""The recorder at work in this process. Without a run there is none, and what is recorded is lost at no cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rag_lab.telemetry.recorder import Off, Recorder

OFF = Off()
_active: Recorder = OFF


def recorder() -> Recorder:
    """The one at work."""
    return _active


@contextmanager
def use(new: Recorder) -> Iterator[None]:
    """Put a recorder to work, in all threads, until the block ends."""
    global _active
    before, _active = _active, new
    try:
        yield
    finally:
        _active = before


@contextmanager
def unmeasured() -> Iterator[None]:
    """Nothing within is recorded: warming up, whose compilation no user waits for twice."""
    with use(OFF):
        yield
