"""Simulated readers of live answers: several users read each reply and rate it by the recall of what it shows.

The crowd and the chance come from a seed, so pipelines that give the same answers hear the same feedback. What is
read, by whom and how well is `rag_lab.l4_feedback.users`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from pydantic import Field

from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.feedback import FeedbackBatch
from rag_lab.pipeline import Heard, Reply
from rag_lab.types import Dataset


class Crowd(NamedTuple):
    """Who reads. users: how many there are; each: how many read one reply; noise: the share that is not honest."""

    users: Annotated[int, Field(ge=1)]
    each: Annotated[int, Field(ge=1)]
    noise: Annotated[float, Field(ge=0, le=1)]


@partial(jax.jit, static_argnames="each")
def _read(
    key: Array,
    crowd: users.Crowd,
    truth: Float[Array, " Q"],
    pushed: Bool[Array, " Q"],
    progress: Float[Array, " Q"],
    each: int,
) -> tuple[Int[Array, " N"], users.Reading]:
    chance = users.draw(key, (truth.shape[0], each))
    return users.read(chance, crowd, truth, pushed, progress, users.BEHAVIOUR)


class Readers:
    """Reads replies one call after the other. replies: how many there will be in all, over which users drift."""

    def __init__(self, dataset: Dataset, crowd: Crowd, replies: int, seed: int) -> None:
        self._relevant = {
            query: {passage for passage, grade in judged.items() if grade > 0}
            for one in dataset.collections
            for query, judged in one.qrels.items()
        }
        self._each, self._replies, self._read = crowd.each, replies, 0
        whom, self._key = jax.random.split(jax.random.key(seed))
        self._crowd = users.gather(whom, crowd.users, jnp.float32(crowd.noise))

    def hear(self, replies: Sequence[Reply], now_s: float) -> Heard:
        """What they say of these replies, at a time in seconds. Colluders push what shows nothing relevant."""
        count, before = len(replies), self._read
        self._read += count
        truth = np.array([self.worth(reply) for reply in replies], np.float32)
        progress = np.full(count, min(before / self._replies, 1.0), np.float32)
        key = jax.random.fold_in(self._key, before)
        who, reading = _read(key, self._crowd, truth, truth == 0, progress, self._each)
        about = np.repeat(np.arange(count), self._each)
        domain = np.array([reply.domain for reply in replies], np.int32)
        return Heard(
            FeedbackBatch(
                user=np.asarray(who, np.int32),
                query=(before + about).astype(np.int32),  # an answer is what several users rate
                domain=domain[about],
                rating=np.asarray(reading.rating),
                time_s=np.full(len(about), now_s),
                dwell_s=np.asarray(reading.dwell_s),
                position=np.asarray(reading.position, np.int32),
            ),
            about,
        )

    def worth(self, reply: Reply) -> float:
        """A reply's judged worth: the share of the relevant passages that it shows; 0 where there are none."""
        relevant = self._relevant.get(reply.query.id, set())
        return len(relevant & set(reply.passages)) / max(len(relevant), 1)
