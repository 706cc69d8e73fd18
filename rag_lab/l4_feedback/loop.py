"""The feedback loop: a Thompson bandit acts, simulated users rate what it showed, a filter weighs their
ratings.

Like `rag_lab.replay`, but the bandit never sees the baked reward. Queries come in batches: it acts on a batch
with what it believes, several users read each answer, the filter judges the window of the latest batches, and
the bandit learns from the new batch, each reading being worth its share of an observation times its weight.
Weights are taken relative to the mean weight of what is kept in the window, so that a filter neither hurries
nor slows learning from good feedback. Each seed has its own stream, crowd and randomness; all of it is one
jitted scan, vmapped over seeds.

Shapes: S seeds, T steps, Q queries, A actions, C contexts (domains + 1), B queries a batch, K batches a
window, N items.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.errors import ConfigError
from rag_lab.kernels import thompson
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.feedback import Reason, Settings
from rag_lab.l4_feedback.filters.jitted import Items, judge


class Setup(NamedTuple):
    """What stays the same over noise levels, with and without the filter.

    crowd: how many users; readers: how many read each answer; batch: queries between two updates; window: how
    many batches the filter looks at; step_s: seconds from one query to the next.
    """

    crowd: int
    readers: int
    batch: int
    window: int
    step_s: float
    kinds: tuple[int, ...]
    behaviour: users.Behaviour


class Played(NamedTuple):
    """What happened on each seed's way.

    action: what was done; dropped_noise, dropped, noise: how many readings were dropped that are noise,
    dropped at all, noise at all; noise_weight: the share of the weight that noise got.
    """

    action: Int[Array, "S T"]
    dropped_noise: Int[Array, " S"]
    dropped: Int[Array, " S"]
    noise: Int[Array, " S"]
    noise_weight: Float[Array, " S"]


def believe(
    arms: thompson.Arms,
    context: Int[Array, " N"],
    action: Int[Array, " N"],
    rating: Float[Array, " N"],
    weight: Float[Array, " N"],
) -> thompson.Arms:
    """Conjugate update of every context's arms by items, each worth `weight` observations, in whatever order."""
    contexts, actions = arms.mean.shape
    cell = context * actions + action
    worth = jnp.zeros(contexts * actions).at[cell].add(weight).reshape(arms.mean.shape)
    total = jnp.zeros(contexts * actions).at[cell].add(weight * rating).reshape(arms.mean.shape)
    strength = arms.strength + worth
    return thompson.Arms((arms.mean * arms.strength + total) / strength, strength, arms.reward_sd)


def play(
    state: thompson.Arms,
    rewards: Float[np.ndarray, "Q A"],
    context: Int[np.ndarray, " Q"],
    promoted: Int[np.ndarray, " C"],
    stream: Int[np.ndarray, "S T"],
    noise: float,
    setup: Setup,
    settings: Settings | None,
    *,
    seed: int,
) -> Played:
    """Play along each seed's stream, with a filter's settings or without a filter.

    state: the bandit's beliefs at the start, for every context; rewards: the true, judged worth of every
    action on every query; context: each query's; promoted: the action that colluders push in each context;
    noise: the share of users that are not honest. ConfigError where a batch does not divide the stream, or
    there are more readers than users.
    """
    # A policy's state has one σ for all places; here each place's arms are taken apart with theirs.
    state = state._replace(reward_sd=jnp.broadcast_to(state.reward_sd, (state.mean.shape[0],)))
    steps = stream.shape[1]
    if steps % setup.batch:
        raise ConfigError(f"a stream of {steps} queries in batches of {setup.batch}; choose a batch that divides it")
    if not 1 <= setup.readers <= setup.crowd:
        raise ConfigError(f"{setup.readers} readers out of {setup.crowd} users; choose from 1 to all of them")
    given = (
        jnp.asarray(rewards, jnp.float32), jnp.asarray(context, jnp.int32), jnp.asarray(promoted, jnp.int32),
        jnp.asarray(stream), jnp.float32(noise),
    )  # fmt: skip
    return _play(jax.random.key(seed), state, *given, setup, settings)


@partial(jax.jit, static_argnames=("setup", "settings"))
def _play(
    key: Array,
    state: thompson.Arms,
    rewards: Float[Array, "Q A"],
    context: Int[Array, " Q"],
    promoted: Int[Array, " C"],
    stream: Int[Array, "S T"],
    noise: Float[Array, ""],
    setup: Setup,
    settings: Settings | None,
) -> Played:
    (contexts, actions), steps = state.mean.shape, stream.shape[1]
    batches, items = steps // setup.batch, setup.batch * setup.readers

    def one(number: Int[Array, ""], stream: Int[Array, " T"]) -> Played:
        whom, choose, rate = jax.random.split(jax.random.fold_in(key, number), 3)
        crowd = users.gather(whom, setup.crowd, noise, setup.kinds)

        def step(carry: tuple[thompson.Arms, Items], at: tuple[Any, ...]) -> Any:
            arms, window = carry
            normals, chance, queries, when = at
            where = context[queries]
            # As thompson.draw does for one; the normal numbers are drawn beforehand, which compiles quicker.
            belief = jax.tree.map(lambda x: x[where], arms)
            action = jnp.argmax(belief.mean + jax.vmap(thompson.deviation)(belief) * normals, axis=1)
            pushed, progress = action == promoted[where], jnp.full(setup.batch, when / batches)
            truth = rewards[queries, action]
            who, reading = users.read(chance, crowd, truth, pushed, progress, setup.behaviour)
            each = partial(jnp.repeat, repeats=setup.readers, total_repeat_length=items)
            weight, dropped = jnp.ones(items), jnp.zeros(items, bool)
            if settings is not None:
                window, weight, dropped = _filter(
                    window, when, who, each((where + 1) % contexts), reading, setup, settings, contexts
                )
            arms = believe(arms, each(where), each(action), reading.rating, weight / setup.readers)
            tally = ((dropped & reading.noise).sum(), dropped.sum(), reading.noise.sum(),
                     (weight * reading.noise).sum(), weight.sum())  # fmt: skip
            return (arms, window), (action.astype(jnp.int8), tally)

        at = (
            jax.random.normal(choose, (steps * actions,)).reshape(batches, setup.batch, actions),  # see users.draw
            users.draw(rate, (batches, setup.batch, setup.readers)),
            stream.reshape(batches, setup.batch),
            jnp.arange(batches),
        )
        _, (action, tally) = jax.lax.scan(step, (state, _nothing(setup, items)), at)
        caught, dropped, noisy, lost, weight = (each.sum() for each in tally)
        return Played(action.ravel(), caught, dropped, noisy, lost / jnp.maximum(weight, 1e-9))

    return jax.vmap(one)(jnp.arange(stream.shape[0]), stream)


def _nothing(setup: Setup, items: int) -> Items:
    """A window without items."""
    size = setup.window * items
    whole, real = jnp.zeros(size, jnp.int32), jnp.zeros(size)
    return Items(jnp.zeros(size, bool), whole, whole, whole, real, real, real, whole + 1)


def _filter(
    window: Items,
    when: Int[Array, ""],
    who: Int[Array, " N"],
    group: Int[Array, " N"],
    reading: users.Reading,
    setup: Setup,
    settings: Settings,
    groups: int,
) -> tuple[Items, Float[Array, " N"], Array]:
    """The window with a new batch in place of its oldest, the batch's relative weights, and what of it is
    dropped.

    An answer is rated by several users once, and so is what the filter knows as a query.
    """
    items = who.shape[0]
    slot = when % setup.window
    answer = slot * setup.batch + jnp.arange(items) // setup.readers
    new = Items(jnp.ones(items, bool), who, answer, group, reading.rating, jnp.zeros(items), reading.dwell_s,
                reading.position)  # fmt: skip
    older = window._replace(age_s=window.age_s + setup.batch * setup.step_s)
    window = jax.tree.map(lambda old, fresh: jax.lax.dynamic_update_slice(old, fresh, (slot * items,)), older, new)
    weight, reason = judge(window, settings, setup.crowd, setup.window * setup.batch, groups)
    kept = window.judged & (reason == Reason.KEPT)
    relative = weight / jnp.maximum(weight.sum() / jnp.maximum(kept.sum(), 1), 1e-9)

    def newest(x: Array) -> Array:
        return jax.lax.dynamic_slice(x, (slot * items,), (items,))

    return window, newest(relative), newest(reason) != Reason.KEPT
