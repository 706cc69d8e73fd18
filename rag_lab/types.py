"""The domain's nouns, and the Protocols that the stages of the pipeline keep to.

Nothing here computes. Text objects are plain tuples; everything numeric is an array whose shape its
annotation names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int

Split = Literal["train", "dev", "test"]
EXPANSIONS = ("none", "rocchio", "rm3")  # an action's second search, by number
FUSIONS = ("convex", "reciprocal_rank")  # an action's fusion rule, by number


class Passage(NamedTuple):
    """A unit of retrieval. `row` is its position in the source file, before any cut."""

    id: str
    title: str
    text: str
    row: int

    @property
    def indexed_text(self) -> str:
        """What is indexed and encoded: title, a space, text."""
        return f"{self.title} {self.text}" if self.title else self.text


class Query(NamedTuple):
    """A question, with the split it belongs to and its cluster of shared relevant passages.

    `id` is unique over all domains of a data set. `row` is its position in the source file.
    `cluster` is -1 until the data set is split (`rag_lab.data.split`).
    """

    id: str
    text: str
    domain: str
    split: Split
    row: int
    answer: str | None = None
    cluster: int = -1


class Sentence(NamedTuple):
    """One sentence of an answer, and the ids of the passages that it cites."""

    text: str
    citations: tuple[str, ...]


class Usage(NamedTuple):
    """What an answer took of a model: calls, tokens read and written, and whether the server counted them; if not,
    the encoder's tokenizer did, on the prompt that would have been sent.
    """

    calls: int
    tokens_in: int
    tokens_out: int
    counted_by_server: bool


class Answer(NamedTuple):
    """What is said, and the ids of the passages that it cites.

    sentences: the same, one by one, each with its own citations; a generator that does not cite by sentence leaves
    them out. refused: the answer only says that the evidence holds none; then it cites nothing. confidence: the
    generator's own, in [0, 1], that the evidence holds an answer; None where it has none. usage: None where no
    model was needed and none is stood in for.
    """

    text: str
    citations: tuple[str, ...]
    sentences: tuple[Sentence, ...] = ()
    refused: bool = False
    confidence: float | None = None
    usage: Usage | None = None


class Trace(NamedTuple):
    """Where the time of one answer went, in milliseconds. All members of a batch waited for the whole batch.

    l2: embedding and domain detection. l1: search. l3: the answer. l4: choosing α and learning from feedback.
    filter: judging the feedback, apart from l4. e2e: all of it, from the question to the answer and from the
    feedback to the policy's update; not what users take in between.
    """

    l1_ms: float
    l2_ms: float
    l3_ms: float
    l4_ms: float
    filter_ms: float
    e2e_ms: float


@dataclass(frozen=True, slots=True)
class Collection:
    """One domain: its passages, its queries, and who is relevant to whom.

    qrels: query id -> passage id -> grade (an integer; above 0 is relevant). Only queries in
    `queries` have an entry. `unanswerable` are queries whose answer is known not to be in the
    passages; they take no part in ranking metrics. `passages_in_source` and `queries_in_source`
    count the rows of the whole source files, before any cut.
    """

    domain: str
    passages: tuple[Passage, ...]
    queries: tuple[Query, ...]
    qrels: Mapping[str, Mapping[str, int]]
    passages_in_source: int
    queries_in_source: int
    unanswerable: tuple[Query, ...] = ()


class ActionSet(NamedTuple):
    """The actions that a policy may take, a column each; read and explained by `l1_retrieval.actions`.

    alpha: the lexical weight; β = 1 − α. expansion, fusion: places in EXPANSIONS and FUSIONS. late: the weight of
    late interaction. depth: how many of either ranker's best take part.
    """

    name: str
    alpha: Float[np.ndarray, " A"]
    expansion: Int[np.ndarray, " A"]
    fusion: Int[np.ndarray, " A"]
    late: Float[np.ndarray, " A"]
    depth: Int[np.ndarray, " A"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """What `data` builds: split collections, in the order of the configuration, with their identity.

    fingerprint: sha256 over the canonical content. card: what the data is, its licences and its
    weaknesses, as Markdown. dropped_overlap: train queries left out because they share a relevant
    passage with test. notes: what a reader must know about the split (an oversized cluster, say).
    """

    name: str
    collections: tuple[Collection, ...]
    fingerprint: str
    card: str
    dropped_overlap: int
    notes: tuple[str, ...] = ()

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains' names, in order."""
        return tuple(collection.domain for collection in self.collections)


class Progress(Protocol):
    """A progress bar, a context manager made by a `ProgressFactory`."""

    def __enter__(self) -> Progress:
        """Show it."""
        ...

    def __exit__(self, *exc: object) -> None:
        """Take it away."""
        ...

    def advance(self, amount: int = 1) -> None:
        """Count units of work as done."""
        ...


class ProgressFactory(Protocol):
    """Opens progress bars."""

    def __call__(self, what: str, total: int, unit: str) -> Progress:
        """A bar for `total` units of `what`, with rate and time left."""
        ...


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    def identity(self, collection: Collection) -> str:
        """Changes whenever the collection's vectors would."""
        ...

    def check(self, collection: Collection, progress: ProgressFactory) -> None:
        """Raise now what would keep the collection from being encoded later; costs little."""
        ...

    def passages(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "passages dimensions"]:
        """The vectors of the passages' indexed texts, in order."""
        ...

    def queries(self, collection: Collection, progress: ProgressFactory) -> Float[np.ndarray, "queries dimensions"]:
        """The vectors of the queries' texts, in order."""
        ...
