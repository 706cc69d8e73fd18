"""Simulated users: they read what was shown, whose true worth is judged, and rate it, each after their kind.

They add noise to judgments and never replace them. What is *noise* is known: a rating made without regard to
the truth. Dwell times overlap between kinds, and colluders read like the honest. Everything is pure and
seeded; `react` is one reading, callers vmap.

Shapes: U users, N readings. Units: seconds.
"""

from __future__ import annotations

import math
from enum import IntEnum
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.feedback import FeedbackBatch


class Kind(IntEnum):
    """What sort of user one is."""

    HONEST = 0  # the truth, with a little error
    CARELESS = 1  # often a guess, made quickly
    SPAMMER = 2  # always the same extreme, a favourite of one's own
    COLLUDER = 3  # best marks for what the group promotes, worst for all else
    POSITION_BIASED = 4  # does not see what lies low, and rates it as nothing
    DRIFTING = 5  # honest at first, by taste in the end


NOISY = tuple(kind for kind in Kind if kind != Kind.HONEST)


class Behaviour(NamedTuple):
    """How users behave.

    rating_sd: error of an honest rating. guess_share: how often the careless guess. dwell_s: median time on
    what is read; guess_dwell_s, spam_dwell_s: on what is guessed and what is spammed; dwell_spread: standard
    deviation of the logarithm of each. severity: a position is looked at with propensity
    (1/position)^severity, down to `depth`.
    """

    rating_sd: float = 0.1
    guess_share: float = 0.6
    dwell_s: float = 15.0
    guess_dwell_s: float = 4.0
    spam_dwell_s: float = 2.5
    dwell_spread: float = 0.6
    severity: float = 1.0
    depth: int = 10


BEHAVIOUR = Behaviour()


class Crowd(NamedTuple):
    """Who the users are. favourite: the extreme (0 or 1) that one would always give as a spammer."""

    kind: Int[Array, " U"]
    favourite: Float[Array, " U"]


class Reading(NamedTuple):
    """One item of feedback, and whether it is noise."""

    rating: Float[Array, ""]
    dwell_s: Float[Array, ""]
    position: Int[Array, ""]
    noise: Bool[Array, ""]


class Simulated(NamedTuple):
    """A log of feedback with the truth about it. kind: of each item's user."""

    batch: FeedbackBatch
    noise: Bool[np.ndarray, " N"]
    kind: Int[np.ndarray, " N"]


def gather(key: Array, users: int, noise: Float[Array, ""], kinds: tuple[int, ...] | Int[Array, " K"] = NOISY) -> Crowd:
    """A crowd in which the share `noise` of users is not honest, of the given kinds in turn."""
    rank = jax.random.permutation(key, users)
    noisy = jnp.asarray(kinds)[rank % len(kinds)]
    kind = jnp.where(rank < jnp.round(noise * users), noisy, int(Kind.HONEST))
    return Crowd(kind, (rank // len(kinds) % 2).astype(jnp.float32))


class Chance(NamedTuple):
    """All that is left to chance in one reading: four uniform numbers in [0, 1), two standard normal ones.

    Drawn for many readings at once: a key for each would take XLA far longer to compile.
    """

    pick: Float[Array, ""]
    where: Float[Array, ""]
    luck: Float[Array, ""]
    guess: Float[Array, ""]
    error: Float[Array, ""]
    delay: Float[Array, ""]


def draw(key: Array, shape: tuple[int, ...]) -> Chance:
    """The chance of as many readings as `shape` holds.

    Flat at first: under vmap, random numbers of several dimensions take XLA twenty times as long to compile.
    """
    even, normal = jax.random.split(key)
    count = math.prod(shape)
    uniform = jax.random.uniform(even, (4 * count,)).reshape(4, *shape)
    return Chance(*uniform, *jax.random.normal(normal, (2 * count,)).reshape(2, *shape))


def react(
    chance: Chance,
    kind: Int[Array, ""],
    favourite: Float[Array, ""],
    truth: Float[Array, ""],
    promoted: Bool[Array, ""],
    progress: Float[Array, ""],
    behaviour: Behaviour,
) -> Reading:
    """One user's reading of one answer.

    truth: its judged worth, in [0, 1]; promoted: whether colluders push it; progress: how much of the whole
    time has passed, from 0 to 1.
    """
    looks = np.arange(1, behaviour.depth + 1) ** -behaviour.severity
    position = 1 + (chance.where >= jnp.asarray(looks.cumsum()[:-1] / looks.sum(), jnp.float32)).sum()
    seen = chance.luck < position.astype(jnp.float32) ** -behaviour.severity
    honest = jnp.clip(truth + behaviour.rating_sd * chance.error, 0, 1)

    never, always = jnp.zeros((), bool), jnp.ones((), bool)
    noise = jnp.stack([never, chance.luck < behaviour.guess_share, always, always, ~seen, chance.luck < progress])[kind]
    made_up = jnp.stack([honest, chance.guess, favourite, promoted.astype(jnp.float32), jnp.zeros(()), chance.guess])[
        kind
    ]
    hasty = {Kind.CARELESS: behaviour.guess_dwell_s, Kind.SPAMMER: behaviour.spam_dwell_s}
    median = jnp.where(noise, jnp.asarray([hasty.get(one, behaviour.dwell_s) for one in Kind])[kind], behaviour.dwell_s)
    dwell = median * jnp.exp(behaviour.dwell_spread * chance.delay)
    return Reading(jnp.where(noise, made_up, honest), dwell, position, noise)


def readers(pick: Float[Array, "shown each"], users: int) -> Int[Array, "shown each"]:
    """Different users for each answer shown, drawn at random: one out of each of `each` blocks of equal size."""
    each = pick.shape[1]
    size = users // each
    return jnp.arange(each) * size + jnp.minimum((pick * size).astype(jnp.int32), size - 1)


def read(
    chance: Chance,
    crowd: Crowd,
    truth: Float[Array, " shown"],
    promoted: Bool[Array, " shown"],
    progress: Float[Array, " shown"],
    behaviour: Behaviour,
) -> tuple[Int[Array, " N"], Reading]:
    """Who reads each answer shown, and what they make of it; N = shown × each, by answer.

    chance: of shape [shown, each].
    """
    who = readers(chance.pick, crowd.kind.shape[0])
    alone = jax.vmap(partial(react, behaviour=behaviour), in_axes=(0, 0, 0, None, None, None))
    reading = jax.vmap(alone)(chance, crowd.kind[who], crowd.favourite[who], truth, promoted, progress)
    return who.ravel(), jax.tree.map(jnp.ravel, reading)


@partial(jax.jit, static_argnames=("users", "each", "kinds", "behaviour"))
def _simulate(
    key: Array,
    truth: Float[Array, " shown"],
    promoted: Bool[Array, " shown"],
    noise: Float[Array, ""],
    users: int,
    each: int,
    kinds: tuple[int, ...],
    behaviour: Behaviour,
) -> tuple[Int[Array, " N"], Int[Array, " N"], Reading]:
    whom, rest = jax.random.split(key)
    crowd = gather(whom, users, noise, kinds)
    progress = jnp.linspace(0, 1, len(truth))
    who, reading = read(draw(rest, (len(truth), each)), crowd, truth, promoted, progress, behaviour)
    return who, crowd.kind[who], reading


def simulate(
    seed: int,
    truth: Float[np.ndarray, " shown"],
    promoted: Bool[np.ndarray, " shown"],
    domain: Int[np.ndarray, " shown"],
    start_s: float,
    *,
    users: int,
    noise: float,
    each: int,
    kinds: tuple[int, ...] = NOISY,
    behaviour: Behaviour = BEHAVIOUR,
) -> Simulated:
    """A log of `each` readings of every answer shown, one answer a second from `start_s` on.

    truth: the judged worth of each answer; promoted: whether colluders push it; domain: its index, -1 where
    unknown; noise: the share of `users` that is not honest. An item's query is the answer's number.
    ConfigError where there are fewer users than readings of one answer.
    """
    if not 1 <= each <= users:
        raise ConfigError(f"{each} readings of every answer by {users} users; give from 1 to {users}")
    given = jnp.asarray(truth, jnp.float32), jnp.asarray(promoted), jnp.float32(noise)
    who, kind, reading = _simulate(jax.random.key(seed), *given, users, each, tuple(map(int, kinds)), behaviour)
    shown = np.arange(len(truth), dtype=np.int32)
    batch = FeedbackBatch(
        user=np.asarray(who, np.int32),
        query=np.repeat(shown, each),
        domain=np.repeat(np.asarray(domain, np.int32), each),
        rating=np.asarray(reading.rating),
        time_s=np.repeat(start_s + shown.astype(np.float64), each),
        dwell_s=np.asarray(reading.dwell_s),
        position=np.asarray(reading.position, np.int32),
    )
    return Simulated(batch, np.asarray(reading.noise), np.asarray(kind))
