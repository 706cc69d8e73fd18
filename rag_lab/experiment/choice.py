"""Who is put under test, and whose learning is looked at: chosen on train queries alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rag_lab import study, tuning
from rag_lab.experiment.variants import PLAIN, Candidate, Variant, suffix
from rag_lab.l4_feedback.policy import Policy


def worth(
    tested: Sequence[Candidate],
    settle: Callable[[Candidate, str], tuple[Candidate, str | None]],
    materials: Mapping[str, tuning.Material],
    search: study.Search,
) -> dict[str, float]:
    """What each policy that may be under test is worth on train queries that it has not learned from.

    A policy that was asked for by name is under test on the first of its action sets: there is nothing to choose.
    """
    if len(tested) == 1:
        return {f"{tested[0].name}{suffix(tested[0].policy.actions[0])}": 0.0}
    pairs = [(one, action_set) for one in tested for action_set in one.policy.actions]
    out = {}
    for one, action_set in pairs:
        policy = settle(one, action_set)[0].policy
        assert isinstance(policy, Policy)
        value = tuning.cross_validated(policy, search, materials[action_set])
        out[f"{one.name}{suffix(action_set)}"] = value
    return out


def bandit(variants: Mapping[str, Variant], treatment: str, worth: Mapping[str, float]) -> str | None:
    """Whose learning is looked at: the treatment, where it learns over α; else the learner over α, or, for want of
    one, over any set, that is worth most: the larger sets have fewer seeds than convergence asks for."""
    learners = {name: worth[name] for name in worth if variants[name].path is not None}
    plain = {name: value for name, value in learners.items() if variants[name].set == PLAIN} or learners
    return treatment if treatment in plain else max(plain, key=lambda name: plain[name], default=None)
