"""What answers cost: per answer and per 1,000, under a price table, and the calls that they take.

Amounts are US dollars. Retrieval is priced in `prices`; here stands what the generator takes, and apart from it
what measuring takes (`evaluation_usd`), which no user of an answer pays.

Shapes: any, elementwise; `calls` and token counts broadcast against each other.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from rag_lab.economy.prices import MILLION, Prices
from rag_lab.errors import ConfigError

PER = 1000  # answers are priced by the thousand


def answer_usd(
    prices: Prices, tier: str, tokens_in: Int[np.ndarray, ...], tokens_out: Int[np.ndarray, ...]
) -> Float[np.ndarray, ...]:
    """Of each answer by a generator of this tier, by the tokens it read and wrote.

    ConfigError where the table has no such tier.
    """
    if tier not in prices.generators:
        raise ConfigError(
            f"prices.generators has no tier '{tier}'; it has {', '.join(prices.generators)}; "
            f"give prices.generators.{tier}={{tokens_in: …, tokens_out: …}}, US dollars per million tokens"
        )
    price = prices.generators[tier]
    return (np.asarray(tokens_in) * price.tokens_in + np.asarray(tokens_out) * price.tokens_out) / MILLION


def usd_per_thousand(usd: Float[np.ndarray, " N"]) -> float:
    """Mean cost of so many answers, by the thousand; NaN without any."""
    return float(np.mean(usd) * PER) if len(usd) else float("nan")


def evaluation_usd(prices: Prices, tokens: int) -> float:
    """What measuring answers took, apart from their cost: an embedding of so many tokens."""
    return tokens * prices.embedding / MILLION
