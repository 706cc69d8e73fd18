"""What a generator's calls took so far: calls, retries, tokens, seconds, US dollars."""

from __future__ import annotations

import logging
import threading
from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.types import Usage

LOG = logging.getLogger("rag_lab.answers")
MILLION = 1e6


class Price(NamedTuple):
    """US dollars per million tokens, read and written."""

    tokens_in: Annotated[float, Field(ge=0)]
    tokens_out: Annotated[float, Field(ge=0)]

    def usd(self, usage: Usage) -> float:
        """What an answer costs at this price."""
        return (usage.tokens_in * self.tokens_in + usage.tokens_out * self.tokens_out) / MILLION


class Taken(NamedTuple):
    """Totals. retries: requests sent again, not among the calls; seconds: waiting, summed over parallel calls."""

    answers: int = 0
    calls: int = 0
    retries: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    usd: float = 0.0


class Meter:
    """Adds up what answers took, from any thread, and logs each."""

    def __init__(self, price: Price) -> None:
        self.price, self.taken = price, Taken()
        self._lock = threading.Lock()

    def add(self, usage: Usage, retries: int, seconds: float) -> None:
        """Count one answer."""
        usd = self.price.usd(usage)
        LOG.info(
            "answer: %d tokens in, %d out%s, %.6f USD, %.2f s, %d retries",
            usage.tokens_in, usage.tokens_out, "" if usage.counted_by_server else " (estimated)", usd, seconds,
            retries,
        )  # fmt: skip
        with self._lock:
            so_far = self.taken
            self.taken = Taken(
                so_far.answers + 1,
                so_far.calls + usage.calls,
                so_far.retries + retries,
                so_far.tokens_in + usage.tokens_in,
                so_far.tokens_out + usage.tokens_out,
                so_far.seconds + seconds,
                so_far.usd + usd,
            )
