"""What answers cost under a price table, in US dollars.

Retrieval is priced in `prices`; here stands what the generator takes. Measuring answers calls nobody who is paid.

Shapes: any, elementwise.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from rag_lab.economy.prices import MILLION, Prices
from rag_lab.errors import ConfigError


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
