"""A price table for models of one's own: what an hour of the machine costs, by what it does in a second.

A machine that is paid for by the hour costs the same idle, so these prices hold at the stated rates alone: half as
many tokens a second cost twice as much each.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

from rag_lab.economy.prices import MILLION, Generator, Price, Prices

SECONDS = 3600
Rate = Annotated[float, Field(gt=0)]


class Rates(NamedTuple):
    """Tokens that a generator reads and writes in a second, at the load that is meant."""

    tokens_in: Rate
    tokens_out: Rate


def build(
    *,
    usd_per_hour: Price,
    generators: dict[str, Rates],
    embedding_per_s: Rate,
    lexical_search: Price,
    vector_search: Price,
) -> Prices:
    """The price table. generators, embedding_per_s: tokens a second on the machine; the searches stay priced by
    the million, since they run elsewhere.
    """

    def price(rate: float) -> float:
        return usd_per_hour / SECONDS / rate * MILLION

    tiers = {tier: Generator(price(rates.tokens_in), price(rates.tokens_out)) for tier, rates in generators.items()}
    return Prices(tiers, price(embedding_per_s), lexical_search, vector_search)
