"""From a lab to a pipeline at work: what all pipelines of a run share, and the stages of each.

The frozen baseline is the one that conf/experiment/baseline.yaml composes; its choices are read there, so that
they stand in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int
from omegaconf import OmegaConf

from rag_lab import bake, config, wiring
from rag_lab.cache.layering import Cache, Nothing
from rag_lab.cache.neighbours import Terms
from rag_lab.cache.recall import Names, Recall
from rag_lab.data.fingerprint import fingerprint
from rag_lab.economy.router import Router
from rag_lab.encoder.live import Live
from rag_lab.encoder.reading import open_shelf
from rag_lab.errors import ConfigError
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.variants import standing
from rag_lab.l1_retrieval.index import Index
from rag_lab.l2_domain.signature import Labelled
from rag_lab.l3_answer.generator import Tools
from rag_lab.l4_feedback.policy import Budget, Policy, Setting
from rag_lab.pipeline import Stages
from rag_lab.types import Collection, Query

GROUPS = ("detector", "policy", "router", "generator", "filter", "cache")  # what a pipeline is made of, in order
ACTIONS = "alpha"  # the action set
OVERRIDE = "override /"  # of Hydra's defaults lists

Nodes = Mapping[str, Mapping[str, Any]]  # a configuration node for each of GROUPS


class Materials(NamedTuple):
    """What the pipelines of a run share. train: what detectors learn from; setting: what policies start with; names:
    what decides remembered values, but for the generator; tools: what generators work with.
    """

    live: Live
    train: Labelled
    indexes: dict[str, Index]
    setting: Setting
    names: Names
    tools: Tools


def frozen() -> dict[str, str]:
    """The baseline's variant of each group."""
    listed = OmegaConf.to_container(OmegaConf.load(config.folder() / "experiment" / "baseline.yaml"))
    assert isinstance(listed, dict)
    chosen = {key: value for one in listed["defaults"] if isinstance(one, dict) for key, value in one.items()}
    return {group: str(chosen[f"{OVERRIDE}{group}"]) for group in GROUPS}


def names(group: str) -> list[str]:
    """A group's variants, its null variant left out."""
    return sorted(path.stem for path in (config.folder() / group).glob("*.yaml") if path.stem != "none")


def baseline_nodes() -> Nodes:
    """The configuration of the frozen baseline's stages."""
    return {group: standing(name, group=group) for group, name in frozen().items()}


def chosen_nodes(lab: Lab) -> Nodes:
    """The configuration of the stages that this run has chosen."""
    return {group: lab.config[group] for group in GROUPS}


def check(lab: Lab, nodes: Nodes) -> None:
    """ConfigError where no pipeline can be made of these stages; costs nothing, so it comes before all work."""
    if not hasattr(lab.encoder, "live"):
        raise ConfigError(
            f"encoder={lab.choices['encoder']} only knows the vectors in its files; live text needs encoder=minilm"
        )
    if wiring.build(nodes["generator"], "generator") is None:
        raise ConfigError("generator=none: a live pipeline answers; give generator=lead or generator=extractive")
    shown(wiring.build(nodes["router"], "router"))
    if nodes["cache"] != standing("none", group="cache"):
        raise ConfigError(
            f"cache={lab.choices['cache']}: +experiment=week3 measures what remembering brings; give cache=none here"
        )
    policy = wiring.build(nodes["policy"], "policy")
    if not isinstance(policy, Policy) or policy.contextual or ACTIONS not in policy.actions:
        raise ConfigError(
            f"policy={lab.choices['policy']}: a live pipeline chooses α alone, by the detected domain; give "
            "policy=static or policy=thompson"
        )
    policy.init(setting(lab))
    for collection in lab.dataset.collections:
        lab.encoder.check(collection, lab.progress)
        if not any(query.split == "train" and _judged(collection, query) for query in collection.queries):
            raise ConfigError(f"domain '{collection.domain}' has no train query, from which detectors learn it")


def setting(lab: Lab) -> Setting:
    """What policies are started with. ConfigError from a policy that has to be tuned."""

    def untuned(per_domain: bool, budget: Budget) -> Int[np.ndarray, " C"]:
        raise ConfigError("policy: a tuned policy needs a study; tune by +experiment=week2, then policy=recommended")

    return lab.setting(ACTIONS, untuned, lab.no_judged(ACTIONS))


def materials(lab: Lab) -> Materials:
    """Encode what has no vector yet, and index every collection."""
    texts, vectors, domain, indexes = [], [], [], {}
    for number, one in enumerate(lab.dataset.collections):
        encoded = lab.encoder.queries(one, lab.progress)
        train = [row for row, query in enumerate(one.queries) if query.split == "train" and _judged(one, query)]
        texts += [one.queries[row].text for row in train]
        vectors.append(encoded[train])
        domain += [number] * len(train)
        indexes[one.domain] = Index(lab.retriever, one, lab.encoder.passages(one, lab.progress))
    passages = [[passage.indexed_text for passage in one.passages] for one in lab.dataset.collections]
    train_queries = Labelled(texts, np.concatenate(vectors), np.array(domain), passages)
    live: Live = lab.encoder.live(lab.progress)  # type: ignore[attr-defined]  # `check` has seen to it
    tools = Tools(open_shelf(lab.encoder, lab.progress), lab.progress)
    return Materials(live, train_queries, indexes, setting(lab), names_of(lab), tools)


def names_of(lab: Lab) -> Names:
    """What decides remembered values: everything that the baked arrays' names hold, by part."""
    collections = lab.dataset.collections
    return Names(
        encoder=" ".join(dict.fromkeys(lab.encoder.identity(one) for one in collections)),
        indexes={
            # Ties are broken by the order of passages, which a fingerprint leaves out.
            one.domain: bake.identity(
                fingerprint([one]), lab.encoder.identity(one), repr([passage.id for passage in one.passages])
            )
            for one in collections
        },
        retriever={"retriever": repr(lab.retriever)},
        generator={},
    )


def _judged(collection: Collection, query: Query) -> bool:
    """Whether it has a relevant passage: the others take no part in an experiment."""
    return any(grade > 0 for grade in collection.qrels.get(query.id, {}).values())


def shown(router: Router) -> int:
    """How many passages a router shows; ConfigError where that depends on the query."""
    if router.always is None:
        raise ConfigError("router: the live pipeline shows every query the same number of passages; give router=fixed")
    return router.always.passages


def stages(
    given: Materials, nodes: Nodes, window: int, cache: Cache | Nothing | None = None, terms: Terms | None = None
) -> Stages:
    """The stages of one pipeline. window: latest items of feedback that its filter judges together; cache: open,
    closed by whoever opened it; without one nothing is remembered. terms: of its semantic layer; None: it is off.
    """
    built = {group: wiring.build(one, group) for group, one in nodes.items() if group != "cache"}
    names, passages = given.names._replace(generator=nodes["generator"]), shown(built["router"])
    return Stages(
        live=given.live,
        detector=built["detector"].fit(given.train, given.live),
        policy=built["policy"],
        generator=built["generator"].open(given.tools),
        filter=built["filter"],
        indexes=given.indexes,
        recall=Recall(cache or Nothing(), names, passages, terms),
        shown=passages,
        window=window,
    )
