"""What comes back of a decision: the judgment itself, clicks, or what simulated users say, filtered or not.

A channel turns the true rewards of a batch of answers into what a policy hears, reward and weight. It never sees more
than an assessor, or a user, would. All of it is pure, for use inside scan and vmap; what may differ between two plays
of one compiled program is in `given`.

Shapes: B answers of a batch, C places, N = B · readers items of feedback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.feedback import Reason, Settings
from rag_lab.l4_feedback.filters.jitted import Items, judge

RANKS = 10  # passages that are shown


class Shown(NamedTuple):
    """A batch of answers. truth: their true rewards; clues: of each, which ranks hold a relevant passage, as bits
    (rank 1 is bit 0); progress: how much of the whole time has passed, from 0 to 1."""

    place: Int[Array, " B"]
    action: Int[Array, " B"]
    truth: Float[Array, " B"]
    clues: Int[Array, " B"]
    progress: Float[Array, ""]


class Heard(NamedTuple):
    """What a policy hears. weight: how many observations a reward is worth; count: whatever the channel counts."""

    reward: Float[Array, " B"]
    weight: Float[Array, " B"]
    count: Any


class Channel(NamedTuple):
    """start(given, key, answers of a batch) -> what the channel remembers. chance(key, shape) -> what chance says to
    answers of that shape. hear(given, memory, chance, shown) -> memory, Heard. given: arrays."""

    start: Callable[[Any, Array, int], Any]
    chance: Callable[[Array, tuple[int, ...]], Any]
    hear: Callable[[Any, Any, Any, Shown], tuple[Any, Heard]]
    given: Any


def _no_memory(given: Any, key: Array, size: int) -> Any:
    return ()


def _no_chance(key: Array, shape: tuple[int, ...]) -> Any:
    return jnp.zeros(shape)


def _believe(given: Any, memory: Any, chance: Any, shown: Shown) -> tuple[Any, Heard]:
    return memory, Heard(shown.truth, jnp.ones_like(shown.truth), ())


JUDGMENTS = Channel(_no_memory, _no_chance, _believe, ())  # an assessor labels the list shown; each label is right


class Clicks(NamedTuple):
    """How readers click. severity: rank r is looked at with propensity (1/r)^severity; relevant, other: chance of a
    click on a relevant and on another passage that is looked at; full: relevant passages that earn a reward of 1."""

    severity: float
    relevant: float
    other: float
    full: float


def _click_chance(key: Array, shape: tuple[int, ...]) -> Float[Array, "... ranks"]:
    return jax.random.uniform(key, (int(np.prod(shape)) * RANKS,)).reshape(*shape, RANKS)


def _click(given: Clicks, memory: Any, chance: Float[Array, "B ranks"], shown: Shown) -> tuple[Any, Heard]:
    looks = jnp.arange(1, RANKS + 1, dtype=jnp.float32) ** -given.severity
    relevant = (shown.clues[:, None] >> jnp.arange(RANKS)) & 1
    clicked = chance < looks * jnp.where(relevant, given.relevant, given.other)
    found = (clicked / looks - given.other).sum(axis=1) / (given.relevant - given.other)
    return memory, Heard(jnp.clip(found / given.full, 0, 1), jnp.ones_like(shown.truth), clicked.sum())


def clicks(model: Clicks) -> Channel:
    """Clicks on the ten passages shown, by a position-based model (Craswell et al. 2008, WSDM; Joachims, Swaminathan
    and Schnabel 2017, WSDM, for the correction): each click counts 1/propensity of its rank, less what clicks on
    irrelevant passages would add on average. The reward, clipped to [0, 1], says how many relevant passages were
    shown, in expectation but for the clipping, and nothing of how many there are. Counted: the clicks.
    """
    return Channel(_no_memory, _click_chance, _click, jax.tree.map(jnp.float32, model))


class Crowd(NamedTuple):
    """Who reads. users: how many there are; readers: how many read each answer; window: how many batches a filter
    looks at; step_s: seconds from one answer to the next."""

    users: int
    readers: int
    window: int
    step_s: float
    behaviour: users.Behaviour


class Noise(NamedTuple):
    """share: of the users who are not honest; kinds: theirs, in turn; promoted: the action that colluders push in each
    place."""

    share: Float[Array, ""]
    kinds: Int[Array, " K"]
    promoted: Int[Array, " C"]


class Tally(NamedTuple):
    """Items of feedback: dropped ones that are noise, dropped ones, noise; the weight that noise got, and all did."""

    caught: Int[Array, ""]
    dropped: Int[Array, ""]
    noise: Int[Array, ""]
    noise_weight: Float[Array, ""]
    weight: Float[Array, ""]


class _Memory(NamedTuple):
    crowd: users.Crowd
    window: Items
    when: Int[Array, ""]


def _gather(given: Noise, key: Array, size: int, *, crowd: Crowd) -> _Memory:
    items = crowd.window * size * crowd.readers
    whole, real = jnp.zeros(items, jnp.int32), jnp.zeros(items)
    window = Items(jnp.zeros(items, bool), whole, whole, whole, real, real, real, whole + 1)
    return _Memory(users.gather(key, crowd.users, given.share, given.kinds), window, jnp.int32(0))


def _reader_chance(key: Array, shape: tuple[int, ...], *, readers: int) -> users.Chance:
    return users.draw(key, (*shape, readers))


def _listen(
    given: Noise, memory: _Memory, chance: users.Chance, shown: Shown, *, crowd: Crowd, settings: Settings | None
) -> tuple[_Memory, Heard]:
    size = shown.truth.shape[0]
    pushed = shown.action == given.promoted[shown.place]
    progress = jnp.full(size, shown.progress)
    who, reading = users.read(chance, memory.crowd, shown.truth, pushed, progress, crowd.behaviour)
    items = size * crowd.readers
    weight, dropped, window = jnp.ones(items), jnp.zeros(items, bool), memory.window
    if settings is not None:
        window, weight, dropped = _filtered(memory, shown, who, reading, crowd, settings, given.promoted.shape[0])
    worth = weight.reshape(size, crowd.readers)
    total = worth.sum(axis=1)
    said = (worth * reading.rating.reshape(size, crowd.readers)).sum(axis=1) / jnp.maximum(total, 1e-9)
    noise = reading.noise
    count = Tally((dropped & noise).sum(), dropped.sum(), noise.sum(), (weight * noise).sum(), weight.sum())
    return _Memory(memory.crowd, window, memory.when + 1), Heard(said, total / crowd.readers, count)


def _filtered(
    memory: _Memory,
    shown: Shown,
    who: Int[Array, " N"],
    reading: users.Reading,
    crowd: Crowd,
    settings: Settings,
    places: int,
) -> tuple[Items, Float[Array, " N"], Array]:
    """The window with a new batch in place of its oldest, the batch's relative weights, and what of it is dropped.

    Weights are relative to the mean weight of what is kept in the window, so that a filter neither hurries nor slows
    learning from good feedback. An answer is rated by several users once, and so is what the filter knows as a query.
    """
    size, items = shown.truth.shape[0], who.shape[0]
    slot = memory.when % crowd.window
    answer = slot * size + jnp.arange(items) // crowd.readers
    group = jnp.repeat((shown.place + 1) % places, crowd.readers, total_repeat_length=items)
    new = Items(
        jnp.ones(items, bool), who, answer, group, reading.rating, jnp.zeros(items), reading.dwell_s, reading.position
    )
    older = memory.window._replace(age_s=memory.window.age_s + size * crowd.step_s)
    window = jax.tree.map(lambda old, fresh: jax.lax.dynamic_update_slice(old, fresh, (slot * items,)), older, new)
    weight, reason = judge(window, settings, crowd.users, crowd.window * size, places)
    kept = window.judged & (reason == Reason.KEPT)
    relative = weight / jnp.maximum(weight.sum() / jnp.maximum(kept.sum(), 1), 1e-9)

    def newest(x: Array) -> Array:
        return jax.lax.dynamic_slice(x, (slot * items,), (items,))

    return window, newest(relative), newest(reason) != Reason.KEPT


def readers(
    crowd: Crowd, noise: float, kinds: Sequence[int], promoted: Int[np.ndarray, " C"], settings: Settings | None
) -> Channel:
    """Simulated users who rate what they read, behind a filter with these settings or without one.

    noise: the share of users that is not honest; kinds: one kind of them, or all in turn. Counted: a `Tally`.
    ConfigError where there are more readers of an answer than users.
    """
    if not 1 <= crowd.readers <= crowd.users:
        raise ConfigError(f"{crowd.readers} readers out of {crowd.users} users; choose from 1 to all of them")
    # As many entries whatever the kinds: one compiled program serves all.
    turns = np.resize(np.array(kinds, np.int32), len(users.NOISY))
    given = Noise(jnp.float32(noise), jnp.asarray(turns), jnp.asarray(promoted, jnp.int32))
    return Channel(*_parts(crowd, settings), given)


@cache
def _parts(crowd: Crowd, settings: Settings | None) -> tuple[Any, Any, Any]:
    """The three functions; the same ones for the same arguments, so that no new program is compiled."""
    return (
        partial(_gather, crowd=crowd),
        partial(_reader_chance, readers=crowd.readers),
        partial(_listen, crowd=crowd, settings=settings),
    )
