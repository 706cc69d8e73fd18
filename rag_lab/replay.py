"""A policy played over baked queries: one `lax.scan` along the stream, `vmap` over seeds.

The reward of an action on a query is an entry of a baked array, so a thousand bandits learn in a second. What comes
back of it, and how much it is worth, is the channel's to say (`rag_lab.l4_feedback.channel`): the judgment itself,
clicks, or simulated users behind a filter.

A stream comes in rounds, one query of each domain. `pace.update_every` rounds are a batch: the policy acts on all of
it with what it believes, then learns from a batch that lies `pace.delay` back. Each seed has its own stream of queries
and its own randomness, both derived from the run's seed and the seed's number alone: more seeds leave the first
ones as they were. Seeds are played in blocks, so that memory stays bounded.

Shapes: S seeds, T = D · L steps (L rounds of D domains), Q queries, A actions, C places (D + 1), F features, B queries
of a batch, N = T / B batches, K checkpoints.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.channel import JUDGMENTS, Channel, Shown
from rag_lab.l4_feedback.policy import Belief, Context, Policy, State

PURPOSE = 1  # sets these keys apart from those that resampling draws from the same seed
BLOCK_NUMBERS = 1 << 26  # random numbers and beliefs that the blocks at work may hold: 256 MB
PROBED = 200  # queries of each domain on which greedy choices are valued
CHECKPOINTS = 25  # at which a contextual policy's greedy choices are valued, at most


class World(NamedTuple):
    """What a policy is played in. rewards: of every action on every query; place, features: of each query's context;
    domain: its true one; clues: which of an action's ten ranks hold a relevant passage, as bits (for clicks)."""

    rewards: Float[np.ndarray, "Q A"]
    place: Int[np.ndarray, " Q"]
    features: Float[np.ndarray, "Q F"]
    domain: Int[np.ndarray, " Q"]
    clues: Int[np.ndarray, "Q A"]

    @property
    def domains(self) -> int:
        """How many there are: D."""
        return int(self.domain.max()) + 1


class Path(NamedTuple):
    """What happened on each seed's way, and where it ended.

    action: what was done; greedy: for every place what would have been done without exploring, after each batch
    (None for a contextual policy, whose choices depend on more than the place, or unwatched); value: the mean true
    reward in each domain of its greedy choices on the probed queries, after each of K equal parts of the way; belief:
    about every action in every place, likewise, on average over seeds (None where there is none, or it depends on more
    than the place); propensity: of the action taken, or None where decisions are not logged; heard: what the channel
    counted, summed; state: at the end.
    """

    action: Int[np.ndarray, "S T"]
    greedy: Int[np.ndarray, "S N C"] | None
    value: Float[np.ndarray, "S K D"] | None
    belief: Belief | None
    propensity: Float[np.ndarray, "S T"] | None
    heard: Any
    state: State


def streams(seed: int, seeds: int, domain: Int[np.ndarray, " Q"], per_domain: int) -> Int[np.ndarray, "S T"]:
    """Each seed's stream of query numbers: domains take turns, queries are drawn with replacement.

    domain: each query's domain index; T = per_domain × number of domains. Every domain must have a query.
    """
    members = [np.flatnonzero(domain == one) for one in range(int(domain.max()) + 1)]
    out = np.empty((seeds, per_domain, len(members)), np.int32)
    for number in range(seeds):
        random = np.random.default_rng([seed, number])
        for one, queries in enumerate(members):
            out[number, :, one] = random.choice(queries, per_domain)
    return out.reshape(seeds, -1)


def probe(stream: Int[np.ndarray, "S T"], domains: int) -> Int[np.ndarray, "D P"]:
    """The queries of each domain, of those in the stream, on which greedy choices are valued."""
    met = [np.unique(stream[:, one::domains]) for one in range(domains)]
    return np.stack([each[np.linspace(0, len(each) - 1, PROBED).astype(int)] for each in met])


def parts(batches: int) -> int:
    """K: the largest divisor of the number of batches that is at most CHECKPOINTS."""
    return max(one for one in range(1, min(CHECKPOINTS, batches) + 1) if batches % one == 0)


class _Plan(NamedTuple):
    """What is static of a play. lag: batches that feedback takes; log: whether propensities are computed; watch:
    whether greedy choices are."""

    policy: Policy
    channel: Channel
    batch: int
    lag: int
    log: bool
    watch: bool


@partial(jax.jit, static_argnames="plan")
def _play(
    plan: _Plan,
    key: Array,
    numbers: Int[Array, " S"],
    state: State,
    stream: Int[Array, "S T"],
    world: World,
    probe: Int[Array, "D P"],
    given: Any,
) -> tuple[State, Any, Array, Array | None, Array, Array | None, Belief | None]:
    policy, channel, size = plan.policy, plan.channel, plan.batch
    length = stream.shape[1] // size
    places = jnp.arange(probe.shape[0] + 1)
    act = jax.vmap(policy.act, in_axes=(0, None, 0))

    def context(query: Int[Array, ...]) -> Context:
        return Context(world.place[query], world.features[query])

    def learn(state: State, at: tuple[Context, Array, Array, Array]) -> tuple[State, None]:
        return policy.update(state, *at), None

    def step(carry: tuple[State, Any, Any], at: Any) -> tuple[tuple[State, Any, Any], Any]:
        state, waiting, listener = carry
        queries, chance, luck, when = at
        here = context(queries)
        action = act(chance, state, here)
        log = jax.vmap(policy.propensity, in_axes=(None, 0))(state, here) if plan.log else None
        taken = None if log is None else jnp.take_along_axis(log, action[:, None], axis=1)[:, 0]
        earned, clues = world.rewards[queries, action], world.clues[queries, action]
        shown = Shown(here.place, action, earned, clues, (when + 0.5) / length)
        listener, heard = channel.hear(given, listener, luck, shown)
        news = (here, action, heard.reward, heard.weight)
        if plan.lag:
            waiting = jax.tree.map(lambda old, new: jnp.concatenate([old[1:], new[None]]), waiting, news)
            news = jax.tree.map(lambda queue: queue[0], waiting)
        if size == 1:
            state, _ = learn(state, jax.tree.map(lambda x: x[0], news))
        else:
            state, _ = jax.lax.scan(learn, state, news, unroll=min(size, 8))
        greedy = None
        if plan.watch and not policy.contextual:
            blank = jnp.zeros((len(places), world.features.shape[1]))
            greedy = jax.vmap(policy.greedy, in_axes=(None, 0))(state, Context(places, blank)).astype(jnp.int8)
        return (state, waiting, listener), (action.astype(jnp.int8), greedy, taken, heard.count)

    def value(state: State) -> Float[Array, " D"]:
        best = jax.vmap(jax.vmap(policy.greedy, in_axes=(None, 0)), in_axes=(None, 0))(state, context(probe))
        return world.rewards[probe, best].mean(axis=1)

    def believed(state: State) -> Belief | None:
        if policy.belief is None or policy.contextual:
            return None
        blank = jnp.zeros((len(places), world.features.shape[1]))
        return jax.vmap(policy.belief, in_axes=(None, 0))(state, Context(places, blank))

    def one(number: Int[Array, ""], stream: Int[Array, " T"]) -> Any:
        own, other, whom = jax.random.split(jax.random.fold_in(key, number), 3)
        pieces = parts(length)
        each = length // pieces
        blank = jnp.zeros(size)
        nothing = (context(jnp.zeros(size, jnp.int32)), jnp.zeros(size, jnp.int32), blank, blank)
        waiting = jax.tree.map(lambda x: jnp.zeros((plan.lag + 1, *x.shape), x.dtype), nothing) if plan.lag else None

        def piece(carry: Any, at: Any) -> Any:
            # Chance comes piece by piece: little enough to stay in the processor's cache until it is used.
            queries, when, mine, others = at
            chance = policy.chance(mine, state, (each, size))
            luck = channel.chance(others, (each, size))
            carry, told = jax.lax.scan(step, carry, (queries, chance, luck, when))
            return carry, (told, (value(carry[0]), believed(carry[0])) if plan.watch else (None, None))

        at = (
            stream.reshape(pieces, each, size),
            jnp.arange(length).reshape(pieces, each),
            jax.random.split(own, pieces),
            jax.random.split(other, pieces),
        )
        start = (state, waiting, channel.start(given, whom, size))
        (end, _, _), ((action, greedy, taken, count), (values, beliefs)) = jax.lax.scan(piece, start, at)
        flat = jax.tree.map(lambda x: x.reshape(length, *x.shape[2:]), (action, greedy, taken))
        return end, jax.tree.map(lambda x: x.sum(axis=(0, 1)), count), *flat, values, beliefs

    return jax.vmap(one)(numbers, stream)


def play(
    policy: Policy,
    state: State,
    world: World,
    stream: Int[np.ndarray, "S T"],
    *,
    seed: int,
    channel: Channel = JUDGMENTS,
    log: bool = False,
    watch: bool = True,
) -> Path:
    """Play a policy from `state` along each seed's stream.

    stream: as `streams` makes it; log: also compute the propensity of every action taken, which costs far more than
    acting; watch: also record greedy choices and their value. At most 127 actions. ConfigError where a batch does not
    divide the stream.
    """
    domains = world.domains
    rounds = stream.shape[1] // domains
    every = policy.pace.update_every
    if rounds % every:
        raise ConfigError(f"policy.update_every={every} does not divide a stream of {rounds} queries a domain")
    lag = -(-policy.pace.delay // every)
    plain = policy._replace(init=None, propensity=policy.propensity if log else None)  # type: ignore[arg-type]
    plan = _Plan(plain, channel._replace(given=None), domains * every, lag, log, watch)
    key = jax.random.fold_in(jax.random.key(seed), PURPOSE)
    probed = probe(stream, domains)
    baked = jax.tree.map(jnp.asarray, world._replace(rewards=world.rewards.astype(np.float32)))

    batches = rounds // every
    drawn = jax.eval_shape(lambda: policy.chance(key, state, (batches // parts(batches), plan.batch)))
    numbers = sum(leaf.size for leaf in jax.tree.leaves((drawn, state))) + stream.shape[1] * (domains + 4)
    workers = (os.cpu_count() or 1) if jax.default_backend() == "cpu" else 1
    block = max(1, min(-(-len(stream) // workers), BLOCK_NUMBERS // workers // numbers))
    block = -(-len(stream) // -(-len(stream) // block))  # of equal size, so that one program serves all

    def run(start: int) -> Any:
        part = stream[start : start + block]
        missing = block - len(part)
        padded = np.pad(part, ((0, missing), (0, 0)), mode="edge") if missing else part
        which = jnp.arange(start, start + block)
        one = _play(plan, key, which, state, jnp.asarray(padded), baked, jnp.asarray(probed), channel.given)
        return jax.tree.map(lambda x: np.asarray(x)[: len(part)], one)

    # A scan of small steps keeps one core of a processor busy: as many blocks of seeds run at once as there are cores.
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(run, range(0, len(stream), block)))
    end, heard, action, greedy, taken, value, belief = jax.tree.map(lambda *x: np.concatenate(x), *found)

    def along(x: Any) -> Any:
        return None if x is None else x.reshape(len(stream), -1)

    belief = jax.tree.map(lambda each: each.mean(axis=0), belief)
    return Path(along(action), greedy, value, belief, along(taken), heard, end)


@partial(jax.jit, static_argnames="choose")
def _greedy(choose: Any, states: State, place: Int[Array, " Q"], features: Float[Array, "Q F"]) -> Int[Array, "S Q"]:
    each = jax.vmap(choose, in_axes=(None, 0))
    return jax.vmap(each, in_axes=(0, None))(states, Context(place, features))


def greedy(policy: Policy, states: State, world: World) -> Int[np.ndarray, "S Q"]:
    """What a policy in each of S states would do on every query without exploring."""
    place, features = jnp.asarray(world.place), jnp.asarray(world.features)
    seeds = jax.tree.leaves(states)[0].shape[0]
    block = max(1, BLOCK_NUMBERS // max(1, world.rewards.size))
    found = []
    for start in range(0, seeds, block):
        part = jax.tree.map(lambda x, a=start: jnp.asarray(x[a : a + block]), states)
        found.append(np.asarray(_greedy(policy.greedy, part, place, features)))
    return np.concatenate(found)
