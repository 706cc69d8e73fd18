"""The variants of a run: the treatment, the references and the ceilings, by their standing names.

A standing variant is a file of conf/policy/. A treatment whose values differ from all of them gets a name of its
own. A per-domain policy is played twice: by the detected domain, and by the true one (`_true_domain`).

Shapes: S seeds (1 where nothing is random), Q queries of the table, C contexts, T steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from omegaconf import OmegaConf

from rag_lab import config, replay, wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment.lab import QUALITY, RECALL, Table
from rag_lab.l4_feedback.policy import Ceiling, Policy, Setting


class Variant(NamedTuple):
    """A variant and what it does: for every query of the table, in every seed, the action it takes.

    node: its configuration. actions: for a ceiling they differ by metric, one entry each; a policy has one entry,
    under recall, which serves all metrics. true_domain: whether it was told the true domain of each query.
    path: how a learner got there, None for the others.
    """

    name: str
    node: Mapping[str, Any]
    policy: Policy | Ceiling
    actions: Mapping[str, Int[np.ndarray, "S Q"]]
    true_domain: bool
    path: replay.Path | None

    def values(self, table: Table, metric: str) -> Float[np.ndarray, "S Q"]:
        """A metric of every query in every seed."""
        actions = self.actions.get(metric, self.actions[RECALL])
        return table.metrics[metric][np.arange(len(table.queries)), actions]

    @property
    def fitted(self) -> bool:
        """Whether train queries went into it, so that its train figures would be flattered."""
        return isinstance(self.policy, Ceiling) or self.policy.fitted


def standing(name: str, where: str = "references") -> dict[str, Any]:
    """The node of a standing variant; ConfigError with the names allowed."""
    folder = config.folder() / "policy"
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(
            wiring.unknown(f"{where}={name}", name, sorted(one.stem for one in folder.glob("*.yaml")))
        )
    return dict(OmegaConf.to_container(OmegaConf.load(path)))  # type: ignore[arg-type]


def name_of(choice: str, node: Mapping[str, Any]) -> str:
    """The standing name of a policy's values, or one of its own: static_0.3, thompson_custom."""
    names = [choice, *sorted(one.stem for one in (config.folder() / "policy").glob("*.yaml"))]
    for name in names:
        if standing(name) == dict(node):
            return name
    if choice == "recommended":
        return choice  # its only value is a path
    return f"static_{node['alpha']:g}" if set(node) == {wiring.TARGET, "alpha"} else f"{choice}_custom"


class Candidate(NamedTuple):
    """A variant before it has run. node: its configuration."""

    name: str
    node: Mapping[str, Any]
    policy: Policy | Ceiling


def candidates(choice: str, node: Mapping[str, Any], references: Sequence[str]) -> list[Candidate]:
    """The treatment first, then the references in order; each once. ConfigError where one cannot be built."""
    treatment = name_of(choice, node)
    policy = wiring.build(node, "policy")
    if isinstance(policy, Ceiling):
        raise ConfigError(f"policy={choice}: a ceiling looks at the answers; choose a policy, keep it a reference")
    others = [name for name in dict.fromkeys(references) if name != treatment]
    nodes = {name: standing(name) for name in others}
    built = [Candidate(name, one, wiring.build(one, f"references.{name}")) for name, one in nodes.items()]
    return [Candidate(treatment, node, policy), *built]


def run_policy(
    one: Candidate, setting: Setting, table: Table, stream: Int[np.ndarray, "S T"], seed: int, true_domain: bool
) -> Variant:
    """Let a policy learn on the stream, if it learns; then freeze it and let it act greedily on every query."""
    name = f"{one.name}_true_domain" if true_domain else one.name
    policy, context = one.policy, table.domain if true_domain else table.context
    assert isinstance(policy, Policy)
    state, contexts = policy.init(setting), len(setting.domains) + 1
    if policy.learns:
        path = replay.play(policy, state, table.metrics[RECALL], stream, context, seed=seed, contexts=contexts)
        greedy = np.asarray(path.greedy)[:, -1]
    else:
        path = None
        greedy = np.asarray(jax.vmap(policy.greedy, in_axes=(None, 0))(state, jnp.arange(contexts)))[None]
    return Variant(name, one.node, policy, {RECALL: greedy[:, context]}, true_domain, path)


def run_ceiling(one: Candidate, table: Table) -> Variant:
    """A ceiling's actions, taken separately for each quality metric and each split, always by the true domain.

    What it costs is what its best recall costs.
    """
    assert isinstance(one.policy, Ceiling)
    actions = {}
    for metric in QUALITY:
        best = np.empty(len(table.queries), np.int64)
        for part in (table.part(test=True), table.part(test=False)):
            best[part] = one.policy.best(table.metrics[metric][part], table.domain[part])
        actions[metric] = best[None]
    return Variant(one.name, one.node, one.policy, actions, True, None)


def run_all(
    all_candidates: Sequence[Candidate], setting: Setting, table: Table, stream: Int[np.ndarray, "S T"], seed: int
) -> dict[str, Variant]:
    """Every variant by name, in order; a per-domain policy is followed by itself on the true domain."""
    out: list[Variant] = []
    for one in all_candidates:
        if isinstance(one.policy, Ceiling):
            out.append(run_ceiling(one, table))
            continue
        for true_domain in (False, True) if one.policy.per_domain else (False,):
            out.append(run_policy(one, setting, table, stream, seed, true_domain))
    return {variant.name: variant for variant in out}
