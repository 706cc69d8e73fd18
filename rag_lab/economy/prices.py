"""The price table, and what a retrieval costs under it.

Amounts are US dollars per million: tokens for models, searches for indexes. The values are in `conf/prices/`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

Price = Annotated[float, Field(ge=0)]
MILLION = 1e6


class Generator(NamedTuple):
    """A generator's prices per million tokens, read and written."""

    tokens_in: Price
    tokens_out: Price


class Prices(NamedTuple):
    """US dollars per million tokens (generators, embedding) or per million searches (lexical, vector)."""

    generators: dict[str, Generator]
    embedding: Price
    lexical_search: Price
    vector_search: Price

    def scaled(self) -> list[Prices]:
        """The same table with one price of retrieval at half or at twice, for each of them."""
        names = ("embedding", "lexical_search", "vector_search")
        return [self._replace(**{name: getattr(self, name) * factor}) for name in names for factor in (0.5, 2.0)]

    def retrieval_usd(
        self, alphas: Float[np.ndarray, " A"], tokens: Int[np.ndarray, " Q"]
    ) -> Float[np.ndarray, "Q A"]:
        """Cost of retrieving for queries of so many tokens at each lexical weight α.

        α = 0 needs no lexical search; α = 1 needs neither an embedding nor a vector search.
        """
        lexical = np.where(alphas > 0, self.lexical_search, 0.0)
        dense = np.where(alphas < 1, tokens[:, None] * self.embedding + self.vector_search, 0.0)
        return (lexical + dense) / MILLION


def api_calls(alphas: Float[np.ndarray, " A"]) -> Float[np.ndarray, " A"]:
    """Paid calls of one retrieval: a lexical search if α > 0; an embedding and a vector search if α < 1."""
    return np.where(alphas > 0, 1.0, 0.0) + np.where(alphas < 1, 2.0, 0.0)


def build(
    *, generators: dict[str, Generator], embedding: Price, lexical_search: Price, vector_search: Price
) -> Prices:
    """The price table."""
    return Prices(generators, embedding, lexical_search, vector_search)
