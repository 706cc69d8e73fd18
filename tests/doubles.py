"""Small stand-ins for what surrounds the code under test, each with the shape of the real thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag_lab.types import Collection, Passage, Query, Split


@dataclass
class Bar:
    """A progress bar that only counts."""

    what: str
    total: int
    unit: str
    done: int = 0

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *exc: object) -> None: ...

    def advance(self, amount: int = 1) -> None:
        self.done += amount


@dataclass
class Bars:
    """A `ProgressFactory` that remembers every bar it opened."""

    opened: list[Bar] = field(default_factory=list)

    def __call__(self, what: str, total: int, unit: str) -> Bar:
        self.opened.append(Bar(what, total, unit))
        return self.opened[-1]


def collection(
    texts: Sequence[str],
    queries: Sequence[str],
    qrels: Sequence[dict[int, int]],
    *,
    domain: str = "healthcare",
    split: Split = "train",
) -> Collection:
    """A domain from bare texts; passages are known by their row, `p0`, `p1` …, queries as `q0`, `q1` …"""
    return Collection(
        domain=domain,
        passages=tuple(Passage(f"p{row}", "", text, row) for row, text in enumerate(texts)),
        queries=tuple(Query(f"q{row}", text, domain, split, row) for row, text in enumerate(queries)),
        qrels={f"q{row}": {f"p{one}": grade for one, grade in qrel.items()} for row, qrel in enumerate(qrels)},
        passages_in_source=len(texts),
        queries_in_source=len(queries),
    )
