"""From collections as read to a data set as used: validate, cut, fingerprint, split.

In this order because a cut must not hide a bad row; because the fingerprint names what is used, so it follows
the cut, and must not depend on the seed, so it precedes the split. As the cut precedes the split, train loses
queries only to test queries that are really used.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag_lab.data.cut import cut
from rag_lab.data.fingerprint import fingerprint
from rag_lab.data.split import split
from rag_lab.data.validate import validate, validate_split
from rag_lab.types import Collection, Dataset


def prepare(
    name: str,
    collections: Sequence[Collection],
    card: str,
    *,
    seed: int,
    max_queries: int | None,
    max_passages: int | None,
    test_share: float,
    keep_overlap: bool,
) -> Dataset:
    """The data set `name`. Queries come with their source's split: "test", "train" or "dev".

    A collection whose queries are all "test" is split by component. DataError where the data cannot be used,
    ConfigError where `max_queries` is too small for the domains.
    """
    validate(collections)
    kept, cut_notes = cut(collections, max_queries=max_queries, max_passages=max_passages)
    identity = fingerprint(kept)
    placed, dropped, notes = split(kept, seed=seed, test_share=test_share, keep_overlap=keep_overlap)
    validate_split(placed)
    return Dataset(name, placed, identity, card, dropped, cut_notes + notes)
