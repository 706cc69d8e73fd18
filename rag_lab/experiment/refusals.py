"""What "not in the evidence" is held against: questions beside the passages that retrieval shows for them.

The evidence of a case holds an answer if a passage judged relevant is among it; a question without an answer in
its collection has none, whatever is shown.

Shapes: N cases (a question and a number of passages), G signs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab.encoder.shelf import Shelf
from rag_lab.experiment import retrieved
from rag_lab.experiment.lab import Lab
from rag_lab.metrics import support
from rag_lab.types import Collection, Query


class Cases(NamedTuple):
    """The cases of one domain. query: the position in `queries`; passages: how many were shown; held: whether the
    evidence holds a relevant passage; answerable: whether the collection does.
    """

    queries: tuple[Query, ...]
    signs: Float[np.ndarray, "N G"]
    query: Int[np.ndarray, " N"]
    passages: Int[np.ndarray, " N"]
    held: Bool[np.ndarray, " N"]
    answerable: Bool[np.ndarray, " N"]


def collect(lab: Lab, collection: Collection, shelf: Shelf, passages: Sequence[int]) -> Cases:
    """Every judged or unanswerable question of a domain, beside its best so many passages."""
    grades = collection.qrels
    judged = [query for query in collection.queries if any(grade > 0 for grade in grades.get(query.id, {}).values())]
    queries = (*judged, *collection.unanswerable)
    ranked = retrieved.search(lab, replace(collection, queries=queries), max(passages)).passage
    shown = sorted(set(ranked[ranked >= 0].tolist()))
    rows = dict(zip(shown, shelf.passages([collection.passages[place] for place in shown]), strict=True))
    cases = [
        (number, count, [place for place in ranked[number, :count].tolist() if place >= 0])
        for number in range(len(queries))
        for count in passages
    ]
    relevant = [{one for one, grade in grades.get(query.id, {}).items() if grade > 0} for query in queries]
    evidence = [np.unique(np.concatenate([rows[place] for place in places])) for *_, places in cases]
    return Cases(
        queries,
        support.signs(shelf, [queries[number].text for number, *_ in cases], evidence),
        np.array([number for number, *_ in cases]),
        np.array([count for _, count, _ in cases]),
        np.array(
            [any(collection.passages[one].id in relevant[number] for one in places) for number, _, places in cases]
        ),
        np.array([number < len(judged) for number, *_ in cases]),
    )
