"""`learned`: a fusion model trained offline on the train judgments, the reference with full information per passage.

It scores every candidate of a query's plain pool from both rankers' scores and ranks, late interaction where the run
has it, and the query's features; a listwise loss, early stopping on a part of train (by cluster). It chooses no action:
it is a ranking of its own, so it stands beside both action sets and belongs to neither.

Shapes: Q queries, P places of a pool, F features of a candidate.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab import bake
from rag_lab.experiment.lab import MRR, NDCG, RECALL, Lab, Table
from rag_lab.experiment.variants import PLAIN, Candidate, Own, Variant
from rag_lab.kernels.fuse import min_max
from rag_lab.kernels.listwise import Scorer, loss, rest, score, start, step
from rag_lab.kernels.rank import order, quality, ranks
from rag_lab.l4_feedback.policies.learned import Learned

RANK_CONSTANT = 60.0  # of 1/(k + rank): as reciprocal rank fusion's
BATCH = 64  # queries of one step


class _Pools(NamedTuple):
    passage: Int[np.ndarray, "Q P"]
    lexical: Float[np.ndarray, "Q P"]
    dense: Float[np.ndarray, "Q P"]
    late: Float[np.ndarray, "Q P"]
    real: Bool[np.ndarray, "Q P"]
    grades: Int[np.ndarray, "Q P"]
    relevant: Int[np.ndarray, " Q"]
    ideal: Float[np.ndarray, " Q"]


def variant(lab: Lab, table: Table, one: Candidate, depth: int) -> Variant:
    """The model as a variant of the run: priced as a look at the query and both searches, as any action is then."""
    assert isinstance(one.policy, Learned)
    action = {RECALL: np.zeros((1, len(table.queries)), np.int64)}
    found = rank(lab, table, one.policy, depth)
    return Variant(one.name, one.node, None, one.policy, PLAIN, action, False, None, found)


def rank(lab: Lab, table: Table, settings: Learned, depth: int) -> Own:
    """Train on train queries, rank every query."""
    pools = _pools(lab, table)
    features = np.asarray(_candidates(pools, jnp.asarray(table.features, jnp.float32)))
    train = table.part(test=False)
    random = np.random.default_rng([lab.seed, 4])
    held = np.zeros(len(table.queries), bool)
    for domain in range(len(lab.dataset.domains)):
        own = train[table.domain[train] == domain]
        clusters = random.permutation(np.unique(table.cluster[own]))
        held[own] = np.isin(table.cluster[own], clusters[: int(len(clusters) * settings.held)])
    scorer, epochs = _fit(features, pools, train[~held[train]], np.flatnonzero(held), table.domain, settings, lab.seed)
    places = np.asarray(_order(scorer, features, pools.real, depth))
    rows = np.arange(len(places))[:, None]
    ranking = np.where(pools.real[rows, places], pools.passage[rows, places], -1)
    found = _quality(pools.grades[rows, places][:, : bake.CUTOFF], pools.relevant, pools.ideal)
    metrics = dict(zip((RECALL, NDCG, MRR), (np.asarray(one, np.float64)[None] for one in found[:3]), strict=True))
    lab.events.emit("fusion learned", epochs=epochs, held=int(held.sum()))
    return Own(metrics, ranking)


def _pools(lab: Lab, table: Table) -> _Pools:
    """Every query's plain pool with its grades, in the table's order."""
    parts = []
    for number, collection in enumerate(lab.dataset.collections):
        own, kept = table.rows[table.domain == number], table.baked[collection.domain].pools
        place = {passage.id: row for row, passage in enumerate(collection.passages)}
        grades = np.zeros((len(own), kept.passage.shape[2]), np.int32)
        judged = [collection.qrels.get(collection.queries[row].id, {}) for row in own]
        for row, one in enumerate(judged):
            for passage, grade in one.items():
                grades[row][(kept.passage[0, own[row]] == place.get(passage, -1)) & kept.real[0, own[row]]] = max(
                    grade, 0
                )
        late = np.nan_to_num(kept.late[0, own], nan=0.0)
        relevant = np.array([sum(grade > 0 for grade in one.values()) for one in judged], np.int32)
        ideal = np.array([bake.ideal_dcg(list(one.values())) for one in judged], np.float32)
        columns = (kept.passage[0, own], kept.lexical[0, own], kept.dense[0, own], late, kept.real[0, own])
        parts.append(_Pools(*columns, grades, relevant, ideal))
    widest = max(part.passage.shape[1] for part in parts)

    def wide(x: np.ndarray) -> np.ndarray:
        return np.pad(x, ((0, 0), (0, widest - x.shape[1]))) if x.ndim == 2 else x

    return _Pools(*(np.concatenate([wide(one) for one in each]) for each in zip(*parts, strict=True)))


@jax.jit
def _candidates(pools: _Pools, queries: Float[Array, "Q f"]) -> Float[Array, "Q P F"]:
    """A candidate's own features, then their products with the query's: what makes a query's weights its own."""

    def one(
        lexical: Float[Array, " P"],
        dense: Float[Array, " P"],
        late: Float[Array, " P"],
        real: Bool[Array, " P"],
        query: Float[Array, " f"],
    ) -> Float[Array, "P F"]:
        every = (lexical, dense, late)
        scaled = [min_max(jnp.asarray(each), real) for each in every]
        near = [RANK_CONSTANT / (RANK_CONSTANT + ranks(jnp.asarray(each), real)) for each in every]
        own = jnp.stack([*scaled, *near, scaled[0] * scaled[1], lexical > 0], axis=1)
        crossed = (own[:, :3, None] * query).reshape(own.shape[0], -1)
        return jnp.concatenate([own, crossed], axis=1)

    return jax.vmap(one)(
        jnp.asarray(pools.lexical), jnp.asarray(pools.dense), jnp.asarray(pools.late), jnp.asarray(pools.real), queries
    )


@partial(jax.jit, static_argnames="k")
def _order(scorer: Scorer, features: Float[Array, "Q P F"], real: Bool[Array, "Q P"], k: int) -> Int[Array, "Q K"]:
    return jax.vmap(lambda x, real: order(jnp.where(real, score(scorer, x), -jnp.inf), k))(features, real)


_quality = jax.jit(jax.vmap(quality))


@jax.jit
def _epoch(carry: Any, batches: tuple[Array, ...], rate: Float[Array, ""], ridge: Float[Array, ""]) -> Any:
    """One pass over the train queries, batch by batch."""

    def one(carry: Any, batch: tuple[Array, ...]) -> tuple[Any, None]:
        def slope(scorer: Scorer) -> Any:
            return jax.grad(lambda one: jax.vmap(partial(loss, one))(*batch).mean())(scorer)

        scorer, memory = carry
        return step(slope, scorer, memory, rate, ridge), None

    return jax.lax.scan(one, carry, batches)[0]


def _fit(
    features: Float[np.ndarray, "Q P F"],
    pools: _Pools,
    train: Int[np.ndarray, " n"],
    held: Int[np.ndarray, " m"],
    domain: Int[np.ndarray, " Q"],
    settings: Learned,
    seed: int,
) -> tuple[Scorer, int]:
    """The scorer that recalled most on the queries held back, and after how many passes; domains weigh the same."""
    linear = np.zeros(features.shape[2], np.float32)
    linear[:2] = settings.start  # both rankers' scaled scores, the balanced static's weights
    scorer = start(jax.random.key(seed), jnp.asarray(linear), settings.hidden)
    carry: Any = (scorer, rest(scorer))
    random = np.random.default_rng([seed, 5])
    sizes = np.bincount(domain[train])
    weights = 1 / sizes[domain[train]] / (sizes > 0).sum()
    count = max(1, len(train) // BATCH)
    best, worth, waited, epochs = scorer, _recall(scorer, features, pools, held, domain), 0, 0
    for epoch in range(1, settings.epochs + 1):
        drawn = random.choice(train, (count, min(BATCH, len(train))), p=weights)
        batches = tuple(jnp.asarray(x[drawn]) for x in (features, pools.grades, pools.real))
        carry = _epoch(carry, batches, jnp.float32(settings.rate), jnp.float32(settings.ridge))
        value = _recall(carry[0], features, pools, held, domain)
        if value > worth:
            best, worth, waited, epochs = carry[0], value, 0, epoch
        elif (waited := waited + 1) >= settings.patience:
            break
    return best, epochs


def _recall(
    scorer: Scorer,
    features: Float[np.ndarray, "Q P F"],
    pools: _Pools,
    rows: Int[np.ndarray, " m"],
    domain: Int[np.ndarray, " Q"],
) -> float:
    """Mean recall@10 on these queries, mean over domains."""
    places = np.asarray(_order(scorer, features[rows], pools.real[rows], bake.CUTOFF))
    found = (np.take_along_axis(pools.grades[rows], places, axis=1) > 0).sum(axis=1)
    recall = found / np.maximum(pools.relevant[rows], 1)
    return float(np.mean([recall[domain[rows] == one].mean() for one in np.unique(domain[rows])]))
