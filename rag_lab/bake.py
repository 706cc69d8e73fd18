"""Every action scored on every query, once: policies are then replayed over arrays.

For each query and each action of a set: recall@10, nDCG@10 and MRR@10, in one jitted pass, vmapped over actions
and over blocks of queries. The candidate pools are there beside them, so that any ranking can be written out.

What is made is kept under the hash of what it was made from, each part by itself: pools, late interaction and
metrics. Another action set repeats no search and encodes no passage again; what no action asks for is not made.

Shapes: Q queries, A actions, E expansions in use, P places of a pool, F features.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from rag_lab.assets import arrays
from rag_lab.data.fingerprint import fingerprint
from rag_lab.errors import ConfigError
from rag_lab.kernels.action import Action, Candidates, ranked, scores
from rag_lab.kernels.pool import Pool
from rag_lab.kernels.rank import Quality, order, quality
from rag_lab.l1_retrieval import late
from rag_lab.l1_retrieval.features import measure
from rag_lab.l1_retrieval.hybrid import Hybrid, Search
from rag_lab.types import EXPANSIONS, FUSIONS, ActionSet, Collection, Encoder, ProgressFactory

CUTOFF = 10
VERSION = "3"  # part of every hash: raise it when baking changes its results
BLOCK_QUERIES = 128  # queries scored at once: bounds memory at block × actions × places × a few numbers


class Pools(NamedTuple):
    """The candidates of every query, a pool for each expansion in use.

    expansion: their numbers, ascending; 0, none, is always there. lexical, dense: the exact scores of that round.
    late: NaN where no action asks for it. real: False where a place is padding.
    """

    expansion: Int[np.ndarray, " E"]
    passage: Int[np.ndarray, "E Q P"]
    lexical: Float[np.ndarray, "E Q P"]
    dense: Float[np.ndarray, "E Q P"]
    late: Float[np.ndarray, "E Q P"]
    real: Bool[np.ndarray, "E Q P"]


class Baked(NamedTuple):
    """One collection's arrays over one action set, on the host.

    Metrics are NaN for a query without a relevant passage. found: which of the ten ranks hold a relevant passage, as
    bits. features: `l1_retrieval.features`. rank_constant: of reciprocal rank fusion.
    """

    recall: Float[np.ndarray, "Q A"]
    ndcg: Float[np.ndarray, "Q A"]
    mrr: Float[np.ndarray, "Q A"]
    found: Int[np.ndarray, "Q A"]
    features: Float[np.ndarray, "Q F"]
    pools: Pools
    rank_constant: float


def stack(pools: Mapping[int, Pool], late: Mapping[int, Float[np.ndarray, "Q P"]]) -> Pools:
    """Pools by the number of their expansion, in ascending order, with late interaction where there is any."""
    passage, lexical, dense, real = (np.stack([*map(np.asarray, each)]) for each in zip(*pools.values(), strict=True))
    missing = np.full(passage.shape[1:], np.nan, np.float32)
    scored = np.stack([late.get(number, missing) for number in pools])
    return Pools(np.array([*pools], np.int32), passage, lexical, dense, scored, real)


class _Judged(NamedTuple):
    """What judgments say of each query's candidates."""

    grades: Int[np.ndarray, "E Q P"]
    relevant: Int[np.ndarray, " Q"]
    ideal_dcg: Float[np.ndarray, " Q"]


def score(
    collection: Collection,
    pools: Pools,
    features: Float[np.ndarray, "Q F"],
    actions: ActionSet,
    rank_constant: float,
) -> Baked:
    """Score all actions on the candidates of a collection's queries. KeyError where an expansion has no pool."""
    judged, plan, k = _judge(collection, pools), _plan(actions, pools), jnp.float32(rank_constant)
    by_query = [np.swapaxes(each, 0, 1) for each in (*pools[2:], judged.grades)]
    found = []
    for start in range(0, len(judged.relevant), BLOCK_QUERIES):
        part = slice(start, start + BLOCK_QUERIES)
        block = [_filled(each[part]) for each in (*by_query, judged.relevant, judged.ideal_dcg)]
        count = len(judged.relevant[part])
        found.append([np.asarray(one)[:count] for one in _scored(*plan, *block, k)])
    recall, ndcg, mrr, ranks = (np.concatenate(each) for each in zip(*found, strict=True))
    return Baked(recall, ndcg, mrr, ranks.astype(np.int16), features, pools, rank_constant)


def _filled(rows: Any) -> Any:
    """The last block as long as the others: one shape, one compilation."""
    return np.pad(rows, [(0, BLOCK_QUERIES - len(rows)), *[(0, 0)] * (rows.ndim - 1)])


def _plan(actions: ActionSet, pools: Pools) -> tuple[Int[np.ndarray, " A"], Action]:
    """For the device: which pool each action looks at, and how."""
    place = {int(number): at for at, number in enumerate(pools.expansion)}
    return np.array([place[int(one)] for one in actions.expansion], np.int32), Action(
        alpha=jnp.asarray(actions.alpha, jnp.float32),
        by_rank=jnp.asarray(actions.fusion == FUSIONS.index("reciprocal_rank")),
        late=jnp.asarray(actions.late, jnp.float32),
        depth=jnp.asarray(actions.depth, jnp.int32),
    )


@jax.jit
def _scored(
    pool: Int[Array, " A"],
    action: Action,
    lexical: Float[Array, "Q E P"],
    dense: Float[Array, "Q E P"],
    late: Float[Array, "Q E P"],
    real: Bool[Array, "Q E P"],
    grades: Int[Array, "Q E P"],
    relevant: Int[Array, " Q"],
    ideal_dcg: Float[Array, " Q"],
    k: Float[Array, ""],
) -> Quality:
    """A block of queries, [Q, A] each."""

    def query(
        pools: tuple[Array, ...], grades: Int[Array, "E P"], relevant: Int[Array, ""], ideal_dcg: Float[Array, ""]
    ) -> Quality:
        candidates = jax.vmap(ranked)(*pools)

        def one(at: Int[Array, ""], action: Action) -> Quality:
            own: Candidates = jax.tree.map(lambda each: each[at], candidates)
            found = scores(action, own, k)
            places = order(found, CUTOFF)
            shown = jnp.where(jnp.isfinite(found[places]), grades[at, places], 0)  # a short list ends early
            return quality(shown, relevant, ideal_dcg)

        return jax.vmap(one)(pool, action)

    return jax.vmap(query)((lexical, dense, late, real), grades, relevant, ideal_dcg)


def ideal_dcg(grades: list[int]) -> float:
    """DCG@10 of the ideal ranking of a query with these judged grades."""
    best = sorted((grade for grade in grades if grade > 0), reverse=True)[:CUTOFF]
    return float(sum(grade / np.log2(rank + 2) for rank, grade in enumerate(best)))


def _judge(collection: Collection, pools: Pools) -> _Judged:
    grades = np.zeros(pools.passage.shape, np.int32)
    place = {passage.id: row for row, passage in enumerate(collection.passages)}
    judgments = [collection.qrels.get(query.id, {}) for query in collection.queries]
    for row, judged in enumerate(judgments):
        for passage, grade in judged.items():
            if grade > 0:
                grades[:, row][pools.passage[:, row] == place.get(passage, -1)] = grade
    return _Judged(
        np.where(pools.real, grades, 0),
        np.array([sum(grade > 0 for grade in judged.values()) for judged in judgments], np.int32),
        np.array([ideal_dcg(list(judged.values())) for judged in judgments], np.float32),
    )


@partial(jax.jit, static_argnames="depth")
def _ranked(
    at: Int[Array, " Q"], action: Action, pools: tuple[Array, ...], k: Float[Array, ""], depth: int
) -> Int[Array, "Q depth"]:
    def one(at: Int[Array, ""], action: Action, pools: tuple[Array, ...]) -> Int[Array, " depth"]:
        passage, lexical, dense, late, real = (each[at] for each in pools)
        found = scores(action, ranked(lexical, dense, late, real), k)
        places = order(found, depth)
        return jnp.where(jnp.isfinite(found[places]), passage[places], -1)

    return jax.vmap(one, in_axes=(0, 0, 1))(at, action, pools)


def rankings(baked: Baked, actions: ActionSet, chosen: Int[np.ndarray, " Q"], depth: int) -> Int[np.ndarray, "Q K"]:
    """Corpus positions of each query's best passages by its own action, best first; -1 where there are no more.

    chosen: the number of each query's action. K = min(depth, places of a pool).
    """
    at, action = jax.tree.map(lambda column: column[chosen], _plan(actions, baked.pools))
    return np.asarray(_ranked(at, action, tuple(baked.pools[1:]), jnp.float32(baked.rank_constant), depth))


def identity(*parts: str) -> str:
    """The name under which arrays are kept: a hash of everything that they depend on."""
    return arrays.identity(VERSION, *parts)


class Made(NamedTuple):
    """Baked arrays; name: a hash of all they depend on; fresh: whether anything had to be made."""

    name: str
    baked: Baked
    fresh: bool


class _Features(NamedTuple):
    features: Float[np.ndarray, "Q F"]


class _Metrics(NamedTuple):
    recall: Float[np.ndarray, "Q A"]
    ndcg: Float[np.ndarray, "Q A"]
    mrr: Float[np.ndarray, "Q A"]
    found: Int[np.ndarray, "Q A"]


class _Shelf:
    """What a folder keeps. fresh: whether anything was not there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.fresh = folder, False

    def get(self, what: str, name: str, kind: type[arrays.Kept], make: Callable[[], arrays.Kept]) -> arrays.Kept:
        """What is kept under a name, made if it is not there yet. what: how the file's name begins."""
        name = f"{what}-{name}"
        found = arrays.load(self.folder, name, kind)
        if found is None:
            self.fresh, found = True, make()
            arrays.keep(self.folder, name, found)
        return found


def check(retriever: Hybrid, actions: ActionSet, progress: ProgressFactory) -> None:
    """ConfigError where the retriever lacks what an action asks for; fetches the model that it needs."""
    if (actions.late > 0).any():
        if retriever.late == "none":
            raise ConfigError(
                f"retriever.late=none, but actions.{actions.name} has late interaction; give retriever.late=minilm"
            )
        late.check(progress)


def prepare(
    collection: Collection,
    encoder: Encoder,
    retriever: Hybrid,
    actions: ActionSet,
    folder: Path,
    progress: ProgressFactory,
) -> Made:
    """A collection's arrays over one action set: from `folder` what it holds, the rest made and kept there.

    Late interaction is kept pair by pair in the user's cache folder, as vectors are. Errors as for `check`.
    """
    check(retriever, actions, progress)
    shelf = _Shelf(folder)
    search = Search(
        retriever,
        collection,
        lambda: (encoder.passages(collection, progress), encoder.queries(collection, progress)),
        progress,
    )
    # Ties are broken by the order of passages; rows of the arrays follow the order of queries.
    rows = [passage.id for passage in collection.passages] + [query.id for query in collection.queries]
    base = (fingerprint([collection]), encoder.identity(collection), repr(rows))
    names: list[str] = []
    pools: dict[int, Pool] = {}
    for number in sorted({0, *actions.expansion.tolist()}):
        kind = EXPANSIONS[number]
        names.append(identity("pools", *base, retriever.basis(kind)))
        pools[number] = shelf.get("pools", names[-1], Pool, partial(search.pools, kind, pools.get(0)))
    features = shelf.get(
        "features",
        identity("features", names[0]),
        _Features,
        lambda: _Features(measure(search.texts, search.words, pools[0])),
    ).features
    asked = sorted(set(actions.expansion[actions.late > 0].tolist()))
    scored = late.score(collection, [pools[number] for number in asked], progress) if asked else []
    stacked = stack(pools, dict(zip(asked, scored, strict=True)))
    taken = repr([column.tolist() for column in actions[1:]])
    name = identity("metrics", *names, late.IDENTITY if asked else "", repr(retriever.rank_constant), taken)
    metrics = shelf.get(
        "metrics",
        name,
        _Metrics,
        lambda: _Metrics(*score(collection, stacked, features, actions, retriever.rank_constant)[:4]),
    )
    return Made(name, Baked(*metrics, features, stacked, retriever.rank_constant), shelf.fresh)
