"""What an experiment works with: the built stages, and every query's baked numbers in one table.

Shapes: Q queries (of all domains and both splits, those with a relevant passage), A actions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from rag_lab import bake, replay, wiring
from rag_lab.economy.prices import Prices, api_calls
from rag_lab.encoder.wordpiece import count_tokens
from rag_lab.errors import ConfigError
from rag_lab.l1_retrieval.actions import columns, labels, read, union
from rag_lab.l1_retrieval.features import FEATURES
from rag_lab.l1_retrieval.hybrid import Hybrid
from rag_lab.l2_domain.signature import UNKNOWN, Detector, Labelled
from rag_lab.l4_feedback.policy import Budget, Judged, Setting
from rag_lab.study import Search
from rag_lab.tracking.jsonl import Events
from rag_lab.types import EXPANSIONS, ActionSet, Dataset, Encoder, ProgressFactory, Query

CACHE = Path("runs/.cache")
STUDIES = Path("runs/studies.db")


@dataclass(frozen=True, slots=True)
class Lab:
    """One run's stages and surroundings. config: resolved; choices: each group's chosen variant."""

    config: Mapping[str, Any]
    choices: Mapping[str, str]
    folder: Path
    dataset: Dataset
    encoder: Encoder
    detector: Detector
    retriever: Hybrid
    prices: Prices
    search: Callable[[int, int], Search]
    progress: ProgressFactory
    events: Events

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.config["seed"])

    def action_set(self, name: str) -> ActionSet:
        """An action set by its name. ConfigError where it is missing or not allowed."""
        sets = self.config["actions"]
        if name not in sets:
            raise ConfigError(wiring.unknown(f"actions.{name}", name, sets))
        return read(name, sets[name])

    def setting(
        self, action_set: str, tune: Callable[[bool, Budget], Int[np.ndarray, " C"]], judged: Callable[[], Judged]
    ) -> Setting:
        """What policies are started with on an action set. tune, judged: see `Setting`."""
        actions, domains, presets = self.action_set(action_set), self.dataset.domains, self.config["presets"]
        if "otherwise" not in presets:
            raise ConfigError(f"presets: given {dict(presets)}; needed is 'otherwise'; give presets.otherwise=0.5")
        believed = [float(presets.get(domain, presets["otherwise"])) for domain in (*domains, "otherwise")]
        return Setting(
            domains, tuple(labels(actions)), actions.alpha, basis(actions), FEATURE_NAMES, np.array(believed), tune,
            judged,
        )  # fmt: skip

    def no_judged(self, action_set: str) -> Callable[[], Judged]:
        """Too few judged queries to learn anything from, for trying a policy out."""
        shape, actions = (len(FEATURE_NAMES),), self.action_set(action_set)
        nothing = Judged(np.zeros((2, *shape)), np.zeros(2, np.int64), np.zeros((2, len(actions.alpha))))
        return lambda: nothing


def basis(actions: ActionSet) -> Float[np.ndarray, "A K"]:
    """Each action's own features: α, its square, and one for everything else that tells actions apart; standardised.

    A column that is the same for all actions is left out.
    """
    depth = actions.depth < actions.depth.max()
    parts = [actions.alpha, np.square(actions.alpha), actions.late, actions.fusion > 0, depth]
    parts += [actions.expansion == one for one in range(1, len(EXPANSIONS))]
    whole = np.stack(parts, axis=1).astype(np.float64)
    whole = whole[:, whole.std(axis=0) > 0]
    return (whole - whole.mean(axis=0)) / whole.std(axis=0)


class Table(NamedTuple):
    """Every query with its numbers.

    context: the detected domain's index, D where it is unknown. features: of each query, standardised on train.
    cluster: within domain and split. metrics: of every action, those of all sets in use; prices: likewise, by whether
    the first round is paid for whatever the action. reward: what policies learn from. found: which ranks of an
    action's ten hold a relevant passage, as bits. actions: all of them; labels: their names; sets: of each set, which
    they are. rows: each query's row in its collection's baked arrays. tokens: what an embedding of it is billed
    for. identity: a hash of all that the rewards depend on. unjudged: how many queries were left out for want of a
    relevant passage. notes: what a reader must know about the actions.
    """

    queries: tuple[Query, ...]
    domain: Int[np.ndarray, " Q"]
    context: Int[np.ndarray, " Q"]
    features: Float[np.ndarray, "Q F"]
    test: Bool[np.ndarray, " Q"]
    cluster: Int[np.ndarray, " Q"]
    metrics: Mapping[str, Float[np.ndarray, "Q A"]]
    prices: Mapping[bool, Mapping[str, Float[np.ndarray, "Q A"]]]
    reward: Float[np.ndarray, "Q A"]
    found: Int[np.ndarray, "Q A"]
    actions: ActionSet
    labels: tuple[str, ...]
    sets: Mapping[str, Int[np.ndarray, " a"]]
    baked: Mapping[str, bake.Baked]
    rows: Int[np.ndarray, " Q"]
    tokens: Int[np.ndarray, " Q"]
    identity: str
    unjudged: int
    notes: tuple[str, ...]

    def part(self, test: bool) -> Int[np.ndarray, " part"]:
        """The positions of the test queries, or of the train queries."""
        return np.flatnonzero(self.test == test)

    def world(self, action_set: str, *, true_domain: bool, rows: Int[np.ndarray, " n"] | None = None) -> replay.World:
        """What policies on an action set are played in: all queries, or those of `rows`."""
        rows = np.arange(len(self.queries)) if rows is None else rows
        own = self.sets[action_set]
        place = self.domain if true_domain else self.context
        return replay.World(
            rewards=self.reward[rows][:, own],
            place=place[rows].astype(np.int32),
            features=self.features[rows].astype(np.float32),
            domain=self.domain[rows],
            clues=self.found[rows][:, own],
        )


RECALL, NDCG, MRR = "retrieval/recall_at_10", "retrieval/ndcg_at_10", "retrieval/mrr_at_10"
QUALITY = (RECALL, NDCG, MRR)
COST, CALLS = "cost/usd_per_1k_queries", "cost/api_calls_per_query"
PRICED = (COST, CALLS)
GROUNDED = "reward/groundedness"  # where it has a weight: see rag_lab.experiment.grounded
FEATURE_NAMES = (*FEATURES, "detector_confidence")
LIMIT = 4.0  # standard deviations: a feature further off counts as that far, or one odd query would rule a linear model


def tabulate(lab: Lab, sets: Sequence[str], reward: Mapping[str, float]) -> Table:
    """Encode, retrieve and bake whatever is not kept yet, for the actions of these sets; detect every query's domain.

    reward: the weight of each part of what policies learn from.
    """
    named = [lab.action_set(name) for name in sets]
    actions = union(named)
    baked: dict[str, bake.Baked] = {}
    names, vectors = [], []
    for collection in lab.dataset.collections:
        queries = lab.encoder.queries(collection, lab.progress)
        made = bake.prepare(collection, lab.encoder, lab.retriever, actions, CACHE / "baked", lab.progress)
        if made.fresh:
            lab.events.emit(
                "baked",
                domain=collection.domain,
                queries=len(queries),
                passages=len(collection.passages),
                actions=actions.name,
            )
        baked[collection.domain] = made.baked
        names.append(made.name)
        vectors.append(queries)
    return _join(lab, baked, names, vectors, actions, {one.name: columns(one, actions) for one in named}, reward)


def _join(
    lab: Lab,
    baked: dict[str, bake.Baked],
    names: list[str],
    vectors: list[Float[np.ndarray, "queries dimensions"]],
    actions: ActionSet,
    sets: Mapping[str, Int[np.ndarray, " a"]],
    reward: Mapping[str, float],
) -> Table:
    """One table over all domains, of the queries that have a relevant passage."""
    collections = lab.dataset.collections
    judged = [np.flatnonzero(np.isfinite(baked[collection.domain].recall[:, 0])) for collection in collections]
    queries = tuple(one.queries[row] for one, rows in zip(collections, judged, strict=True) for row in rows)
    domain = np.repeat(np.arange(len(collections)), [len(rows) for rows in judged])
    test = np.array([query.split == "test" for query in queries])

    def joined(field: str) -> np.ndarray:
        each = [getattr(baked[one.domain], field)[rows] for one, rows in zip(collections, judged, strict=True)]
        return np.concatenate(each)

    embedded = np.concatenate([each[rows] for each, rows in zip(vectors, judged, strict=True)])
    texts = [query.text for query in queries]
    train = Labelled(
        texts=[text for text, held in zip(texts, test, strict=True) if not held],
        vectors=embedded[~test],
        domain=domain[~test],
        passages=[[passage.indexed_text for passage in one.passages] for one in collections],
    )
    signature = lab.detector.fit(train, live=None)(texts, embedded)
    detected = signature.domain
    features = np.column_stack([joined("features"), signature.confidence]).astype(np.float64)
    spread = features[~test].std(axis=0)
    features = (features - features[~test].mean(axis=0)) / np.where(spread > 1e-9, spread, 1)
    tokens = count_tokens(texts, lab.progress)
    metrics = {
        metric: joined(field).astype(np.float64) for metric, field in ((RECALL, "recall"), (NDCG, "ndcg"), (MRR, "mrr"))
    }
    prices = {}
    for looked in (False, True):
        cost = lab.prices.retrieval_usd(actions, tokens, looked=looked) * 1000
        prices[looked] = {COST: cost, CALLS: np.broadcast_to(api_calls(actions, looked=looked), cost.shape)}
    earned = reward.get("recall", 0.0) * metrics[RECALL] - reward.get("cost", 0.0) * prices[False][COST]
    return Table(
        queries=queries,
        domain=domain,
        context=np.where(detected == UNKNOWN, len(collections), detected).astype(np.int32),
        features=np.clip(features, -LIMIT, LIMIT),
        test=test,
        cluster=np.array([query.cluster for query in queries]),
        metrics=metrics,
        prices=prices,
        reward=earned,
        found=joined("found").astype(np.int32),
        actions=actions,
        labels=tuple(labels(actions)),
        sets=sets,
        baked=baked,
        rows=np.concatenate(judged),
        tokens=tokens,
        identity=bake.identity(
            "table", *names, *(query.id for query in queries), repr(test.tolist()), repr(sorted(reward.items()))
        ),
        unjudged=sum(len(one.queries) - len(rows) for one, rows in zip(collections, judged, strict=True)),
        notes=(),
    )
