"""What a semantic layer would do: serve a question with what is remembered for the nearest other one.

Each question of a split meets the nearest other of its collection, by our similarity kernel, behind a gate: enough
content words in common, and the very same numbers and negations, which vectors hardly see ("IVIG is effective", "is
not effective": 0.99). A hit is false if the two have not the same relevant passages: whoever judged them wanted
something else. The threshold is calibrated on train as vCache does for each prompt (Schroeder et al. 2025,
arXiv:2502.03771), here once for all: the lowest at which the upper confidence bound of the false-hit rate keeps the
promise (Clopper and Pearson 1934; Bonferroni over the thresholds tried). None: nothing may be served.

Shapes: Q questions, D dimensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from rag_lab.experiment.lab import Lab
from rag_lab.kernels.similarity import similarity
from rag_lab.metrics.interval import TAILS
from rag_lab.types import Split

Share = Annotated[float, Field(ge=0, le=1)]
NEGATIONS = frozenset(("no", "not", "never", "none", "neither", "nor", "without", "cannot"))  # and all in …n't
SPLITS: tuple[Split, ...] = ("train", "test")


class Semantic(NamedTuple):
    """Settings. thresholds: cosines tried, rising; overlap: the least share of content words in common (Jaccard);
    false_hits: of hits, the promise; confidence: with which it is to be kept."""

    thresholds: Annotated[tuple[float, ...], Field(min_length=1)]
    overlap: Share
    false_hits: Share
    confidence: Annotated[float, Field(gt=0, lt=1)]


class Met(NamedTuple):
    """The nearest question to each. passes: the gate; right: the same passages are relevant; twins: questions that
    have any other of the same relevant passages, near or not."""

    cosine: Float[np.ndarray, " Q"]
    passes: Bool[np.ndarray, " Q"]
    right: Bool[np.ndarray, " Q"]
    twins: int


class Rate(NamedTuple):
    """Hits at a threshold, how many of them are false, and the 95% interval of that share."""

    at: float
    hits: int
    false: int
    low: float
    high: float


def run(lab: Lab, settings: Semantic) -> dict[str, Any]:
    """Measure it on the run's data: on the questions that have a relevant passage."""
    met: dict[Split, list[Met]] = {split: [] for split in SPLITS}
    for one in lab.dataset.collections:
        vectors = lab.encoder.queries(one, lab.progress)
        relevant = [
            frozenset(passage for passage, grade in one.qrels.get(query.id, {}).items() if grade > 0)
            for query in one.queries
        ]
        for split, found in met.items():
            rows = [row for row, query in enumerate(one.queries) if query.split == split and relevant[row]]
            if rows:
                texts = [one.queries[row].text for row in rows]
                found.append(meet(texts, vectors[rows], [relevant[row] for row in rows], settings.overlap))
    return curve({split: together(found) for split, found in met.items()}, settings)


def curve(meetings: Mapping[Split, Met], settings: Semantic) -> dict[str, Any]:
    """Hits and false hits of every split at every threshold, and the threshold that keeps the promise."""
    found = {split: [_at(met, threshold) for threshold in settings.thresholds] for split, met in meetings.items()}
    tail = (1 - settings.confidence) / len(settings.thresholds)
    kept = [one.at for one in found["train"] if bounds(one.false, one.hits, tail)[1] <= settings.false_hits]
    asked = {split: {"questions": len(met.cosine), "twins": met.twins} for split, met in meetings.items()}
    shown = {split: [one._asdict() for one in rows] for split, rows in found.items()}
    return {"promise": settings._asdict(), "threshold": min(kept, default=None), "asked": asked, "splits": shown}


def _at(met: Met, threshold: float) -> Rate:
    hit = met.passes & (met.cosine >= threshold)
    hits, false = int(hit.sum()), int((hit & ~met.right).sum())
    return Rate(threshold, hits, false, *bounds(false, hits, TAILS[0]))


def bounds(false: int, hits: int, tail: float) -> tuple[float, float]:
    """The ends of Clopper and Pearson's interval of a rate, each beyond which it lies with at most this chance."""
    from scipy.special import betaincinv

    low = float(betaincinv(false, hits - false + 1, tail)) if false else 0.0
    return low, float(betaincinv(false + 1, hits - false, 1 - tail)) if false < hits else 1.0


def meet(
    texts: Sequence[str], vectors: Float[np.ndarray, "Q D"], relevant: Sequence[frozenset[str]], overlap: float
) -> Met:
    """Every question of one collection with the nearest other one; two at least."""
    cosines = np.array(jax.jit(jax.vmap(similarity, (0, None)))(vectors, vectors))
    np.fill_diagonal(cosines, -np.inf)
    nearest = cosines.argmax(axis=1)
    said = [(_content(text), _deciding(text)) for text in texts]
    pairs = list(enumerate(nearest))
    return Met(
        cosine=cosines.max(axis=1),
        passes=np.array([said[a][1] == said[b][1] and _jaccard(said[a][0], said[b][0]) >= overlap for a, b in pairs]),
        right=np.array([relevant[a] == relevant[b] for a, b in pairs]),
        twins=sum(relevant.count(one) > 1 for one in relevant),
    )


def together(met: Iterable[Met]) -> Met:
    """All collections' questions."""
    cosine, passes, right, twins = zip(*met, strict=True)
    return Met(np.concatenate(cosine), np.concatenate(passes), np.concatenate(right), sum(twins))


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.casefold().replace("’", "'"))


def _content(text: str) -> frozenset[str]:
    from bm25s.stopwords import STOPWORDS_EN

    return frozenset(_words(text)) - frozenset(STOPWORDS_EN)


def _deciding(text: str) -> list[str]:
    """Numbers and negations, in their order."""
    return [word for word in _words(text) if word in NEGATIONS or word.endswith("n't") or any(map(str.isdigit, word))]


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))
