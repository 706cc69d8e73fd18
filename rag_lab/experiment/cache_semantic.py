"""What a semantic layer does to this data: whom it serves, whom wrongly, and whether it may serve at all.

Each question of a split meets the nearest other of its collection, by our similarity kernel, behind the gate of words.
A hit is false if the two have not the same relevant passages: whoever judged them wanted something else. The threshold
is calibrated on train (`cache.promise`). Held out: test questions, those among them that have a twin (another with the
same relevant passages), and questions made of them by rule (`held_out_pairs`), which meet all test questions; whatever
a near-opposite is served with is false.

vCache's authors report up to 12.5 times the hits and a 26th of the errors of static thresholds, by a threshold for each
prompt, learned from its own hits (Schroeder et al. 2025, arXiv:2502.03771, abstract). Ours is such a static one, with
a bound: those ratios are of their traffic, in which prompts recur in many words, and no figure to be met here.

Shapes: Q questions, N questions remembered, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float

from rag_lab.cache.gate import admits
from rag_lab.cache.keys import normalise
from rag_lab.cache.layering import Cache
from rag_lab.cache.neighbours import Terms
from rag_lab.cache.promise import TAIL, Met, Semantic, bounds, rate, threshold
from rag_lab.experiment.held_out_pairs import made
from rag_lab.experiment.lab import Lab
from rag_lab.kernels.similarity import similarity
from rag_lab.types import Collection, Split

SPLITS: tuple[Split, ...] = ("train", "test")
TWINS = "twins"
Relevant = frozenset[str]
Encode = Callable[[Sequence[str]], Float[np.ndarray, "Q D"]]


class Asked(NamedTuple):
    """Questions of one split of one collection that have a relevant passage."""

    texts: list[str]
    vectors: Float[np.ndarray, "Q D"]
    relevant: list[Relevant]

    @property
    def twins(self) -> Bool[np.ndarray, " Q"]:
        """Which of them have another with the same relevant passages, near or not."""
        return np.array([self.relevant.count(one) > 1 for one in self.relevant], bool)


def run(lab: Lab, settings: Semantic, most: int) -> dict[str, Any]:
    """Measure it on the run's data. most: questions of each collection that pairs are made of."""
    every = {split: asked(lab, split) for split in SPLITS}
    met = {split: together([meet(one, settings.overlap) for one in found]) for split, found in every.items()}

    def encode(texts: Sequence[str]) -> Float[np.ndarray, "Q D"]:
        return lab.encoder.encode(texts, lab.progress, "held-out pairs")  # type: ignore[attr-defined]

    twins = np.concatenate([one.twins for one in every["test"]])
    pairs = {TWINS: (True, Met(*(column[twins] for column in met["test"])))}
    pairs |= held_out(every["test"], encode, settings.overlap, most)
    counts = {
        split: {"questions": len(met[split].cosine), "twins": sum(int(one.twins.sum()) for one in found)}
        for split, found in every.items()
    }
    return {**curve(met, settings), "asked": counts, "pairs": [served(*one, settings) for one in pairs.items()]}


def terms(lab: Lab, cache: Cache) -> Terms | None:
    """On what terms this cache may lend; None where it is not to, or where no threshold keeps its promise."""
    settings = cache.semantic
    if not settings.serve:
        return None
    train = together([meet(one, settings.overlap) for one in asked(lab, "train")])
    at = threshold(train, settings)
    promise = f"{settings.false_hits:.0%} false hits at {settings.confidence:.0%} confidence on train"
    if at is None:
        cache.tell(f"Semantic layer off: no threshold of {settings.thresholds} keeps its promise of {promise}.")
        return None
    cache.tell(f"Semantic layer on: near questions are served alike from cosine {at:g}, which keeps {promise}.")
    judged = {
        one.domain: {normalise(query.text): relevant(one, query.id) for query in one.queries if relevant(one, query.id)}
        for one in lab.dataset.collections
    }
    return Terms(at, settings.overlap, settings.questions, judged)


def curve(meetings: Mapping[Split, Met], settings: Semantic) -> dict[str, Any]:
    """Hits and false hits of every split at every threshold, and the threshold that keeps the promise."""
    shown = {split: [rate(met, at)._asdict() for at in settings.thresholds] for split, met in meetings.items()}
    return {"promise": settings._asdict(), "threshold": threshold(meetings["train"], settings), "splits": shown}


def served(kind: str, found: tuple[bool, Met], settings: Semantic) -> dict[str, Any]:
    """Of questions of one kind, those served at each threshold and those served wrongly, the rate of these among all
    asked with its 95% interval, and what cosine alone would serve wrongly."""
    same, met = found
    ungated = met._replace(passes=np.ones_like(met.passes))
    rows = []
    for at in settings.thresholds:
        behind, alone = rate(met, at), rate(ungated, at)
        low, high = bounds(behind.false, len(met.cosine), TAIL)
        rows.append(
            {"at": at, "hits": behind.hits, "false": behind.false, "low": low, "high": high, "ungated": alone.false}
        )
    return {"kind": kind, "same": same, "asked": len(met.cosine), "rows": rows}


def held_out(tests: Sequence[Asked], encode: Encode, overlap: float, most: int) -> dict[str, tuple[bool, Met]]:
    """By rule: whether questions made by it want what they were made of wants, and what they meet."""
    found: dict[str, list[tuple[bool, Met]]] = {}
    for one in tests:
        new = made(one.texts, most)
        texts = [each.text for each in new]
        wanted = [one.relevant[each.source] if each.same else frozenset() for each in new]
        met = against(Asked(texts, encode(texts), wanted), one, overlap, itself=True)
        for kind, same in dict.fromkeys((each.kind, each.same) for each in new):
            rows = [row for row, each in enumerate(new) if each.kind == kind]
            found.setdefault(kind, []).append((same, Met(*(column[rows] for column in met))))
    return {kind: (parts[0][0], together(met for _, met in parts)) for kind, parts in found.items()}


def asked(lab: Lab, split: Split) -> list[Asked]:
    """The questions of a split, by collection, where there are two at least."""
    found = []
    for one in lab.dataset.collections:
        rows = [row for row, query in enumerate(one.queries) if query.split == split and relevant(one, query.id)]
        if len(rows) > 1:
            vectors = lab.encoder.queries(one, lab.progress)[rows]
            queries = [one.queries[row] for row in rows]
            found.append(Asked([each.text for each in queries], vectors, [relevant(one, each.id) for each in queries]))
    return found


def relevant(collection: Collection, query: str) -> Relevant:
    """The passages that a question wants."""
    return frozenset(passage for passage, grade in collection.qrels.get(query, {}).items() if grade > 0)


def meet(one: Asked, overlap: float) -> Met:
    """Every question of one collection with the nearest other one; two at least."""
    return against(one, one, overlap, itself=False)


def against(new: Asked, kept: Asked, overlap: float, *, itself: bool) -> Met:
    """Every question with the nearest of those kept. itself: whether that may be the one in its own row."""
    cosines = np.array(jax.jit(jax.vmap(similarity, (0, None)))(new.vectors, kept.vectors))
    if not itself:
        np.fill_diagonal(cosines, -np.inf)
    pairs = list(enumerate(cosines.argmax(axis=1)))
    return Met(
        cosine=cosines.max(axis=1),
        passes=np.array([admits(new.texts[a], kept.texts[b], overlap) for a, b in pairs], bool),
        right=np.array([new.relevant[a] == kept.relevant[b] for a, b in pairs], bool),
    )


def together(met: Iterable[Met]) -> Met:
    """All collections' questions."""
    return Met(*map(np.concatenate, zip(*met, strict=True)))
