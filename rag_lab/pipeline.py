"""The live pipeline: embed → detect → choose α → search → answer; then, as users speak, filter → learn.

Pure wiring. One query or a batch; every answer carries the trace of where its time went, and is recorded
(`rag_lab.telemetry`) under the pipeline's name. The stages are those that the experiments replay, and the policy's
functions are the very same. Embeddings, evidence and answers that a cache remembers are not computed again; what was
computed is in the reply. Users are outside: who calls shows them the replies and hands over what they say.

Shapes: Q queries of one call, N items of feedback, D dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import Nothing
from rag_lab.cache.recall import Recall
from rag_lab.encoder.live import Live
from rag_lab.errors import DataError
from rag_lab.l1_retrieval.index import Index
from rag_lab.l2_domain.signature import UNKNOWN, Fitted
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filter
from rag_lab.l4_feedback.policy import Context, Policy, Setting, State
from rag_lab.telemetry import measuring
from rag_lab.types import Answer, Passage, Query, Trace

Groups = Mapping[str, list[int]]  # the rows of the queries of each collection
Value = TypeVar("Value")


class Generator(Protocol):
    """The generator stage."""

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """Answer from the evidence, best first."""
        ...


class Computed(NamedTuple):
    """What was computed for an answer, and so was to be paid for; the rest was remembered."""

    embedding: bool
    evidence: bool
    answer: bool


class Reply(NamedTuple):
    """One answer and how it came about. passages: ids of those shown, best first; domain: the detected one's
    index, -1 unknown; action: the policy's. trace: without feedback until `Pipeline.learn` completes it.
    """

    query: Query
    answer: Answer
    passages: tuple[str, ...]
    domain: int
    action: int
    trace: Trace
    computed: Computed = Computed(True, True, True)


class Heard(NamedTuple):
    """What users said of some replies. about: for each item the place of its reply among those replies."""

    items: FeedbackBatch
    about: Int[np.ndarray, " N"]


class Stages(NamedTuple):
    """The built stages. indexes: by the domain of the collection that a query belongs to; recall: what is remembered
    around them; shown: passages that the generator and the users see; window: latest items of feedback that the
    filter judges together.
    """

    live: Live
    detector: Fitted
    policy: Policy
    generator: Generator
    filter: Filter
    indexes: dict[str, Index]
    recall: Recall
    shown: int
    window: int


class Pipeline:
    """A pipeline at work: the stages, what its policy has learned, and the window of feedback."""

    def __init__(self, stages: Stages, setting: Setting, seed: int, name: str = "live") -> None:
        self.stages, self.setting, self.name = stages, setting, name
        self.remembers = not isinstance(stages.recall.cache, Nothing)
        self._encode = jax.jit(stages.live.encode, compiler_options=dict(stages.live.options))
        self._bandit = _Bandit(stages.policy, setting, seed)
        self._window: FeedbackBatch | None = None

    def forget(self) -> None:
        """Back to the start, but with everything compiled."""
        self._bandit.forget()
        self._window = None

    @measuring.responding
    def respond(self, queries: Sequence[Query]) -> list[Reply]:
        """Answer the queries as one batch. DataError where a query's collection has no index."""
        if not queries:
            return []
        groups = self._by_collection(queries)
        started = perf_counter()
        texts = [query.text for query in queries]
        vectors, embedded = self.stages.recall.embed(
            texts, lambda places: list(self._embed([texts[at] for at in places]))
        )
        domain = self.stages.detector(texts, vectors).domain
        detected = perf_counter()
        actions = self._bandit.choose(domain)
        chosen = perf_counter()
        found, searched_for = self._search(texts, vectors, self.setting.alphas[actions], groups)
        passages = [
            [self.stages.indexes[query.domain].collection.passages[place] for place in one.passage if place >= 0]
            for query, one in zip(queries, found, strict=True)
        ]
        searched = perf_counter()
        answers, written = self._answer(texts, vectors, found, passages, groups)
        answered = perf_counter()
        trace = Trace(
            l1_ms=1000 * (searched - chosen),
            l2_ms=1000 * (detected - started),
            l3_ms=1000 * (answered - searched),
            l4_ms=1000 * (chosen - detected),
            filter_ms=0.0,
            e2e_ms=1000 * (answered - started),
        )
        return [
            Reply(
                query,
                answer,
                tuple(one.id for one in evidence),
                int(where),
                int(action),
                trace,
                Computed(*map(bool, computed)),
            )
            for query, answer, evidence, where, action, *computed in zip(
                queries, answers, passages, domain, actions, embedded, searched_for, written, strict=True
            )
        ]

    @measuring.learning
    def learn(self, replies: Sequence[Reply], heard: Heard, now_s: float) -> list[Reply]:
        """Judge the feedback on these replies within the window, at the time `now_s` in seconds since the epoch,
        and update the policy; the replies with their traces completed.

        A reply's reward is the mean rating of the items about it, weighed by the filter; without an item that is
        kept nothing is learned from it.
        """
        if not len(heard.about):
            return list(replies)
        started = perf_counter()
        window = heard.items if self._window is None else _joined(self._window, heard.items)
        self._window = FeedbackBatch(*(column[-self.stages.window :] for column in window))
        joined = perf_counter()
        weights = self.stages.filter.weigh(self._window, now_s).weight
        judged = perf_counter()
        fresh = min(len(heard.about), len(weights))  # more feedback at once than the window holds: its end counts
        weights, about, ratings = weights[-fresh:], heard.about[-fresh:], heard.items.rating[-fresh:]
        worth = np.bincount(about, weights, len(replies))
        ratings = np.where(weights > 0, ratings, 0)  # what is not kept may be NaN
        total = np.bincount(about, weights * ratings, len(replies))
        for place in np.flatnonzero(worth > 0).tolist():
            self._bandit.observe(replies[place].domain, replies[place].action, float(total[place] / worth[place]))
        self._bandit.wait()
        ended = perf_counter()

        def completed(trace: Trace) -> Trace:
            return trace._replace(
                l4_ms=trace.l4_ms + 1000 * (joined - started + ended - judged),
                filter_ms=trace.filter_ms + 1000 * (judged - joined),
                e2e_ms=trace.e2e_ms + 1000 * (ended - started),
            )

        return [reply._replace(trace=completed(reply.trace)) for reply in replies]

    def _by_collection(self, queries: Sequence[Query]) -> Groups:
        """The rows of the queries of each collection. DataError where one has no index."""
        groups: dict[str, list[int]] = {}
        for row, query in enumerate(queries):
            if query.domain not in self.stages.indexes:
                known = ", ".join(self.stages.indexes)
                raise DataError(f"a query of domain '{query.domain}', which has no index; there are: {known}")
            groups.setdefault(query.domain, []).append(row)
        return groups

    def _embed(self, texts: Sequence[str]) -> Float[np.ndarray, "Q D"]:
        """The texts' vectors."""
        tokens = self.stages.live.tokenise(texts)
        return np.asarray(self._encode(self.stages.live.weights, tokens.ids, tokens.real))[: tokens.filled]

    def _search(
        self, texts: Sequence[str], vectors: Float[np.ndarray, "Q D"], alphas: Float[np.ndarray, " Q"], groups: Groups
    ) -> tuple[list[Evidence], Bool[np.ndarray, " Q"]]:
        """The evidence for each query from its own collection, and whether it was searched for."""

        def own(name: str, rows: list[int]) -> tuple[Sequence[Evidence], Bool[np.ndarray, " Q"]]:
            def search(places: list[int]) -> list[Evidence]:
                at = [rows[place] for place in places]
                asked = [texts[row] for row in at]
                hits = self.stages.indexes[name].search(asked, vectors[at], alphas[at], self.stages.shown)
                return list(map(Evidence, hits.passage, hits.score))

            asked = [texts[row] for row in rows]
            return self.stages.recall.search(name, asked, vectors[rows], alphas[rows], search)

        return _each(groups, own)

    def _answer(
        self,
        texts: Sequence[str],
        vectors: Float[np.ndarray, "Q D"],
        found: Sequence[Evidence],
        passages: Sequence[Sequence[Passage]],
        groups: Groups,
    ) -> tuple[list[Answer], Bool[np.ndarray, " Q"]]:
        """The answer to each query from its evidence, and whether it was written."""

        def own(name: str, rows: list[int]) -> tuple[Sequence[Answer], Bool[np.ndarray, " Q"]]:
            def write(places: list[int]) -> list[Answer]:
                at = [rows[place] for place in places]
                return [self.stages.generator.answer(texts[row], passages[row]) for row in at]

            asked, given = [texts[row] for row in rows], [found[row] for row in rows]
            return self.stages.recall.answer(name, asked, vectors[rows], given, write)

        return _each(groups, own)


def _each(
    groups: Groups, own: Callable[[str, list[int]], tuple[Sequence[Value], Bool[np.ndarray, " Q"]]]
) -> tuple[list[Value], Bool[np.ndarray, " Q"]]:
    """What `own` gives for the rows of each collection, and whether it was computed, in the order of the queries."""
    rows = [row for each in groups.values() for row in each]
    parts = [own(name, each) for name, each in groups.items()]
    values = dict(zip(rows, (value for part, _ in parts for value in part), strict=True))
    computed = np.zeros(len(rows), bool)
    computed[rows] = np.concatenate([flags for _, flags in parts])
    return [values[row] for row in range(len(rows))], computed


class _Bandit:
    """The policy with its state and its randomness: the one place that calls its functions.

    It sees of a query the place that was detected, not its features: a contextual policy takes every query for an
    average one.
    """

    def __init__(self, policy: Policy, setting: Setting, seed: int) -> None:
        self._policy, self._setting, self._seed = policy, setting, seed
        features = jnp.zeros(len(setting.features))

        def choose(key: Array, state: State, places: Int[Array, " Q"]) -> tuple[Array, Int[Array, " Q"]]:
            key, now = jax.random.split(key)
            luck = policy.chance(now, state, places.shape)
            act = jax.vmap(lambda luck, place: policy.act(luck, state, Context(place, features)))
            return key, act(luck, places)

        def update(state: State, place: Int[Array, ""], action: Int[Array, ""], reward: Float[Array, ""]) -> State:
            return policy.update(state, Context(place, features), action, reward, jnp.float32(1))

        self._choose, self._update = jax.jit(choose), jax.jit(update)
        self.forget()

    def forget(self) -> None:
        """Back to what is believed without evidence."""
        self._key, self._state = jax.random.key(self._seed), self._policy.init(self._setting)

    def choose(self, domain: Int[np.ndarray, " Q"]) -> Int[np.ndarray, " Q"]:
        """The action for each query of a detected domain."""
        self._key, actions = self._choose(self._key, self._state, self._place(domain))
        return np.asarray(actions)

    def observe(self, domain: int, action: int, reward: float) -> None:
        """Learn from one reward; it may not be done when this returns, see `wait`."""
        place = self._place(np.asarray(domain))
        self._state = self._update(self._state, place, np.int32(action), np.float32(reward))

    def wait(self) -> None:
        """Until all is learned, so that a clock read then is true."""
        jax.block_until_ready(self._state)

    def _place(self, domain: Int[np.ndarray, "*Q"]) -> Int[np.ndarray, "*Q"]:
        return np.where(domain == UNKNOWN, len(self._setting.domains), domain).astype(np.int32)


def _joined(first: FeedbackBatch, second: FeedbackBatch) -> FeedbackBatch:
    return FeedbackBatch(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
