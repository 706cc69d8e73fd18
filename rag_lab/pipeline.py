"""The live pipeline: embed → detect → choose α → search → answer → feedback → filter → learn. Pure wiring.

One query or a batch; every answer carries the trace of where its time went. The stages are those that the
experiments replay, and the policy's functions are the very same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from rag_lab.encoder.live import Live
from rag_lab.l1_retrieval.index import Index
from rag_lab.l2_domain.signature import UNKNOWN, Fitted
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filter
from rag_lab.l4_feedback.policy import Policy, Setting, State
from rag_lab.types import Answer, Passage, Query, Trace


class Generator(Protocol):
    """The generator stage."""

    def answer(self, question: str, evidence: Sequence[Passage]) -> Answer:
        """Answer from the evidence, best first."""
        ...


class Reply(NamedTuple):
    """One answer and how it came about. domain: the detected one's index, -1 unknown; action: the policy's."""

    query: Query
    answer: Answer
    passages: tuple[str, ...]
    domain: int
    action: int
    trace: Trace


# What users say of some replies, at a time in seconds: rows of feedback, and for each row the reply it is about.
Users = Callable[[Sequence[Reply], float], tuple[FeedbackBatch, Int[np.ndarray, " N"]]]


class Stages(NamedTuple):
    """The built stages. indexes: by the domain of the collection that a query belongs to."""

    live: Live
    detector: Fitted
    policy: Policy
    generator: Generator
    filter: Filter
    users: Users
    indexes: dict[str, Index]
    shown: int
    window: int


class Pipeline:
    """A pipeline at work: the stages, the policy's state, and the last `window` items of feedback."""

    def __init__(self, stages: Stages, setting: Setting, seed: int) -> None:
        self.stages, self.setting = stages, setting
        self.state: State = stages.policy.init(setting)
        self._key = jax.random.key(seed)
        self._encode = jax.jit(stages.live.encode, compiler_options=dict(stages.live.options))
        self._act = jax.jit(jax.vmap(stages.policy.act, in_axes=(0, None, 0)))
        self._update = jax.jit(stages.policy.update)
        self._window: FeedbackBatch | None = None

    def respond(self, queries: Sequence[Query], now_s: float) -> list[Reply]:
        """Answer the queries, as one batch, at the time `now_s`; then hear the users and learn from them."""
        started = perf_counter()
        texts = [query.text for query in queries]
        tokens = self.stages.live.tokenise(texts)
        vectors = np.asarray(self._encode(self.stages.live.weights, tokens.ids, tokens.real))[: tokens.filled]
        domain = self.stages.detector(texts, vectors).domain
        detected = perf_counter()

        actions = self._choose(domain)
        chosen = perf_counter()
        passages = self._search(queries, vectors, self.setting.actions[actions])
        searched = perf_counter()
        answers = [
            self.stages.generator.answer(query.text, evidence)
            for query, evidence in zip(queries, passages, strict=True)
        ]
        answered = perf_counter()

        none = Trace(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        replies = [
            Reply(query, answer, tuple(one.id for one in evidence), int(where), int(action), none)
            for query, answer, evidence, where, action in zip(
                queries, answers, passages, domain, actions, strict=True
            )
        ]
        filter_s = self._learn(replies, now_s)
        ended = perf_counter()
        trace = Trace(
            l1_ms=1000 * (searched - chosen),
            l2_ms=1000 * (detected - started),
            l3_ms=1000 * (answered - searched),
            l4_ms=1000 * (chosen - detected + ended - answered - filter_s),
            filter_ms=1000 * filter_s,
            e2e_ms=1000 * (ended - started),
        )
        return [reply._replace(trace=trace) for reply in replies]

    def _choose(self, domain: Int[np.ndarray, " Q"]) -> Int[np.ndarray, " Q"]:
        """The policy's action for each query."""
        context = np.where(domain == UNKNOWN, len(self.setting.domains), domain)
        keys = jax.random.split(self._key, len(domain) + 1)
        self._key = keys[0]
        return np.asarray(self._act(keys[1:], self.state, jnp.asarray(context)))

    def _search(
        self, queries: Sequence[Query], vectors: Float[np.ndarray, "Q D"], alphas: Float[np.ndarray, " Q"]
    ) -> list[list[Passage]]:
        """The passages shown for each query, from its own collection."""
        found: list[list[Passage]] = [[] for _ in queries]
        for name in dict.fromkeys(query.domain for query in queries):
            index = self.stages.indexes[name]
            rows = [row for row, query in enumerate(queries) if query.domain == name]
            hits = index.search(
                [queries[row].text for row in rows], vectors[rows], alphas[rows], self.stages.shown
            )
            for row, places in zip(rows, hits.passage, strict=True):
                found[row] = [index.collection.passages[place] for place in places if place >= 0]
        return found

    def _learn(self, replies: Sequence[Reply], now_s: float) -> float:
        """Hear the users, judge what they say within the window, update the policy; seconds that judging took."""
        said, about = self.stages.users(replies, now_s)
        if not len(about):
            return 0.0
        window = said if self._window is None else _join(self._window, said)
        self._window = FeedbackBatch(*(column[-self.stages.window :] for column in window))
        before = perf_counter()
        judged = self.stages.filter.weigh(self._window, now_s)
        judging_s = perf_counter() - before
        weight, rating = judged.weight[-len(about) :], said.rating[-len(judged.weight) :]
        for number, reply in enumerate(replies):
            own = about[-len(weight) :] == number
            if weight[own].sum() > 0:
                reward = float(np.average(rating[own], weights=weight[own]))
                context = len(self.setting.domains) if reply.domain == UNKNOWN else reply.domain
                self.state = self._update(self.state, context, reply.action, reward)
        return judging_s


def _join(first: FeedbackBatch, second: FeedbackBatch) -> FeedbackBatch:
    return FeedbackBatch(*(np.concatenate(pair) for pair in zip(first, second, strict=True)))
