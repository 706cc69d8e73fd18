"""The price table, and what a retrieval costs under it.

Amounts are US dollars per million: tokens for models, searches for indexes. The values are in `conf/prices/`.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from rag_lab.types import EXPANSIONS, ActionSet

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
        self, actions: ActionSet, tokens: Int[np.ndarray, " Q"], *, looked: bool = False
    ) -> Float[np.ndarray, "Q A"]:
        """Cost of each action for queries of so many tokens; `looked` as for `searches`."""
        lexical, vector, embedded = searches(actions, looked=looked)
        each = lexical * self.lexical_search + vector * self.vector_search
        return (each + tokens[:, None] * embedded * self.embedding) / MILLION


class Searches(NamedTuple):
    """What an action asks for: how many lexical searches, vector searches and embeddings of the query."""

    lexical: Int[np.ndarray, " A"]
    vector: Int[np.ndarray, " A"]
    embedded: Int[np.ndarray, " A"]


def searches(actions: ActionSet, *, looked: bool = False) -> Searches:
    """The paid calls behind each action.

    One round needs a lexical search unless α = 0, and an embedding and a vector search unless α = 1; late
    interaction re-ranks what both rankers found, so it needs both. An expansion needs the whole first round, and
    then a second search of its kind: rocchio of vectors, rm3 of words. Late interaction itself has no listed
    price: it runs on the embedding already paid for, where the passages' token vectors are, and adds nothing.

    looked: the policy chose by what both rankers said (features of `l1_retrieval.features`): the first round is
    then paid for whatever the action.
    """
    expanded = actions.expansion != EXPANSIONS.index("none")
    both = expanded | (actions.late > 0) | looked
    lexical, vector = (both | (actions.alpha > 0)).astype(int), (both | (actions.alpha < 1)).astype(int)
    return Searches(
        lexical=lexical + (actions.expansion == EXPANSIONS.index("rm3")),
        vector=vector + (actions.expansion == EXPANSIONS.index("rocchio")),
        embedded=vector,
    )


def api_calls(actions: ActionSet, *, looked: bool = False) -> Float[np.ndarray, " A"]:
    """Paid calls of each action: its searches, and its embedding where it has one."""
    return np.sum(searches(actions, looked=looked), axis=0).astype(np.float64)


def build(*, generators: dict[str, Generator], embedding: Price, lexical_search: Price, vector_search: Price) -> Prices:
    """The price table."""
    return Prices(generators, embedding, lexical_search, vector_search)
