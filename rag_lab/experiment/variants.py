"""The variants of a run: the treatment, the references and the ceilings, by their standing names.

A standing variant is a file of conf/policy/. A treatment whose values differ from all of them gets a name of its
own. Every variant runs on the action sets that it names; on others than `alpha` the name bears the set's suffix. A
per-domain policy is played twice: by the detected domain, and by the true one (`_true_domain`).

Shapes: S seeds (1 where nothing is random), Q queries of the table, C places, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from omegaconf import OmegaConf

from rag_lab import config, replay, wiring
from rag_lab.errors import ConfigError
from rag_lab.experiment.lab import PRICED, QUALITY, RECALL, Table
from rag_lab.l4_feedback.channel import Channel
from rag_lab.l4_feedback.policies.chosen import Chosen
from rag_lab.l4_feedback.policies.learned import Learned
from rag_lab.l4_feedback.policy import Ceiling, Policy, Setting

PLAIN = "alpha"  # the action set whose variants bear no suffix


class Own(NamedTuple):
    """A ranking that no action gives. metrics: by name, of every query; ranking: corpus positions, -1 past its end."""

    metrics: Mapping[str, Float[np.ndarray, "1 Q"]]
    ranking: Int[np.ndarray, "Q K"]


class Variant(NamedTuple):
    """A variant and what it does: for every query of the table, in every seed, the action it takes.

    node: its configuration, tuned; study: the name of the study that tuned it, or None. set: its action set. actions:
    numbers of the table's actions; for a ceiling they differ by metric, one entry each; a policy has one entry, under
    recall, which serves all metrics. true_domain: whether it was told the true domain of each query. path: how a
    learner got there, None for the others. own: what a ranking that chooses no action makes of every query; it is
    priced as a look at the query, then both searches.
    """

    name: str
    node: Mapping[str, Any]
    study: str | None
    policy: Policy | Ceiling | Learned
    set: str
    actions: Mapping[str, Int[np.ndarray, "S Q"]]
    true_domain: bool
    path: replay.Path | None
    own: Own | None = None

    def values(self, table: Table, metric: str) -> Float[np.ndarray, "S Q"]:
        """A metric of every query in every seed. Who chooses by features has paid for what they show."""
        actions = self.actions.get(metric, self.actions[RECALL])
        if self.own is not None and metric in self.own.metrics:
            return self.own.metrics[metric]
        values = table.prices[self.looked][metric] if metric in PRICED else table.metrics[metric]
        return values[np.arange(len(table.queries)), actions]

    @property
    def looked(self) -> bool:
        """Whether it looks at what the first round says of the query, and so pays for it."""
        return isinstance(self.policy, Learned) or (isinstance(self.policy, Policy) and self.policy.contextual)

    @property
    def chooses(self) -> bool:
        """Whether it is a policy, which chooses actions and may be used: neither a ceiling nor a ranking of its own."""
        return isinstance(self.policy, Policy)

    @property
    def fitted(self) -> bool:
        """Whether train queries went into it, so that its train figures would be flattered."""
        return not isinstance(self.policy, Policy) or self.policy.fitted

    @property
    def learner(self) -> Policy:
        """The policy of a variant that is none of the ceilings."""
        assert isinstance(self.policy, Policy)
        return self.policy


def suffix(action_set: str) -> str:
    """What the name of a variant on this set ends with."""
    return "" if action_set == PLAIN else f"_{action_set}"


def standing(name: str, where: str = "references", group: str = "policy") -> dict[str, Any]:
    """The node of a standing variant, a file of conf/<group>/, without its defaults list; ConfigError with the names
    allowed."""
    folder = config.folder() / group
    path = folder / f"{name}.yaml"
    if not path.is_file():
        raise ConfigError(wiring.unknown(f"{where}={name}", name, sorted(one.stem for one in folder.glob("*.yaml"))))
    loaded = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(loaded, dict)
    return {str(key): value for key, value in loaded.items() if key != "defaults"}


def name_of(choice: str, node: Mapping[str, Any]) -> str:
    """The standing name of a policy's values, or one of its own: static_0.3, thompson_custom.

    The action sets that it runs on do not count: the suffix tells them.
    """
    names = [choice, *sorted(one.stem for one in (config.folder() / "policy").glob("*.yaml"))]
    given = {key: value for key, value in node.items() if key != "actions"}
    for name in names:
        if {key: value for key, value in standing(name).items() if key != "actions"} == given:
            return name
    if choice == "recommended":
        return choice  # its only value is a path
    return f"static_{node['alpha']:g}" if set(given) == {wiring.TARGET, "alpha"} else f"{choice}_custom"


class Candidate(NamedTuple):
    """A variant before it has run. node: its configuration; standing: whether that is a file of conf/policy/;
    treatment: whether it may be the one under test."""

    name: str
    node: Mapping[str, Any]
    policy: Policy | Ceiling | Learned
    standing: bool
    treatment: bool


def candidates(choice: str, node: Mapping[str, Any], references: Sequence[str]) -> list[Candidate]:
    """Who may be under test first, then the references in order; each once. ConfigError where one cannot be built."""
    policy = wiring.build(node, "policy")
    if isinstance(policy, Learned):
        raise ConfigError(f"policy={choice}: it ranks and chooses no action; keep it a reference")
    if isinstance(policy, Ceiling):
        raise ConfigError(f"policy={choice}: a ceiling looks at the answers; choose a policy, keep it a reference")
    if isinstance(policy, Chosen):
        tested = [_standing(name, "policy.among", treatment=True) for name in dict.fromkeys(policy.among)]
        wrong = [one.name for one in tested if not isinstance(one.policy, Policy)]
        if wrong:
            raise ConfigError(f"policy.among: {wrong[0]} is no policy of its own; name policies")
    else:
        name = name_of(choice, node)
        tested = [Candidate(name, node, policy, name == choice and choice != "recommended", True)]
    taken = {one.name for one in tested}
    others = [name for name in dict.fromkeys(references) if name not in taken]
    return [*tested, *(_standing(name, "references", treatment=False) for name in others)]


def _standing(name: str, where: str, *, treatment: bool) -> Candidate:
    node = standing(name, where)
    return Candidate(name, node, wiring.build(node, f"{where}.{name}"), True, treatment)


def rebuilt(one: Candidate, node: Mapping[str, Any]) -> Candidate:
    """The candidate with other settings of its policy."""
    return one._replace(node=node, policy=wiring.build(node, f"policy ({one.name})"))


def sets_of(every: Sequence[Candidate], known: Sequence[str]) -> tuple[str, ...]:
    """The action sets of a run: `alpha`, and those that whoever may be under test runs on, as the configuration orders
    them. References follow. ConfigError for a set that the configuration lacks.
    """
    asked = {one: candidate.name for candidate in every if candidate.treatment for one in candidate.policy.actions}
    for one, name in asked.items():
        if one not in known:
            raise ConfigError(wiring.unknown(f"{name}: actions={one}", one, known))
    return tuple(one for one in known if one in asked or one == PLAIN)


def run_policy(
    one: Candidate,
    study: str | None,
    setting: Setting,
    table: Table,
    action_set: str,
    stream: Int[np.ndarray, "S T"],
    seed: int,
    channel: Channel,
    true_domain: bool,
) -> Variant:
    """Let a policy learn on the stream, if it learns; then freeze it and let it act greedily on every query."""
    name = f"{one.name}{'_true_domain' if true_domain else ''}{suffix(action_set)}"
    policy, world = one.policy, table.world(action_set, true_domain=true_domain)
    assert isinstance(policy, Policy)
    state, path = policy.init(setting), None
    if policy.learns:
        path = replay.play(policy, state, world, stream, seed=seed, channel=channel)
        states = path.state
    else:
        states = jax.tree.map(lambda x: jnp.asarray(x)[None], state)
    chosen = table.sets[action_set][replay.greedy(policy, states, world)]
    return Variant(name, one.node, study, policy, action_set, {RECALL: chosen}, true_domain, path)


def run_ceiling(one: Candidate, table: Table, action_set: str) -> Variant:
    """A ceiling's actions, taken separately for each quality metric and each split, always by the true domain.

    What it costs is what its best recall costs.
    """
    assert isinstance(one.policy, Ceiling)
    own, actions = table.sets[action_set], {}
    for metric in QUALITY:
        best = np.empty(len(table.queries), np.int64)
        for part in (table.part(test=True), table.part(test=False)):
            best[part] = one.policy.best(table.metrics[metric][part][:, own], table.domain[part])
        actions[metric] = own[best][None]
    return Variant(f"{one.name}{suffix(action_set)}", one.node, None, one.policy, action_set, actions, True, None)


class Settled(NamedTuple):
    """A candidate with its tuned settings, the study that found them, and what that said they are worth on train."""

    candidate: Candidate
    study: str | None
    worth: float | None


Settle = Callable[[Candidate, str], Settled]  # tunes a candidate on an action set


def run(
    one: Candidate,
    settings: Mapping[str, Setting],
    settle: Settle,
    table: Table,
    streams: Mapping[str, Int[np.ndarray, "S T"]],
    seed: int,
    channel: Channel,
) -> dict[str, Variant]:
    """A candidate's variants by name: on each of its action sets, a per-domain policy followed by itself on the true
    domain.

    settings, streams: by action set.
    """
    out: list[Variant] = []
    for action_set in (name for name in one.policy.actions if name in table.sets):
        if isinstance(one.policy, Ceiling):
            out.append(run_ceiling(one, table, action_set))
            continue
        tuned, study, _ = settle(one, action_set)
        assert isinstance(one.policy, Policy)
        for true_domain in (False, True) if one.policy.per_domain else (False,):
            given = (tuned, study, settings[action_set], table, action_set, streams[action_set])
            out.append(run_policy(*given, seed, channel, true_domain))
    return {variant.name: variant for variant in out}
