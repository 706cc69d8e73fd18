"""Who is put under test, and whose learning is looked at: chosen on train queries alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rag_lab import study, tuning
from rag_lab.experiment.variants import PLAIN, Candidate, Settle, Variant, suffix
from rag_lab.l4_feedback.policy import Policy


class Choice(NamedTuple):
    """treatment: who is under test; tested: all who might have been; worth: of each on train queries that it has not
    learned from, empty where there was nothing to choose."""

    treatment: str
    tested: tuple[str, ...]
    worth: Mapping[str, float]


def choose(
    tested: Sequence[Candidate], settle: Settle, materials: Mapping[str, tuning.Material], search: study.Search
) -> Choice:
    """Put under test whoever is worth most on train; ties to the first.

    A policy that was asked for by name is under test on the first of its action sets.
    """
    pairs = [(one, action_set) for one in tested for action_set in one.policy.actions if action_set in materials]
    names = tuple(f"{one.name}{suffix(action_set)}" for one, action_set in pairs)
    if len(tested) == 1:
        return Choice(names[0], names, {})
    worth = {}
    for name, (one, action_set) in zip(names, pairs, strict=True):
        settled = settle(one, action_set)
        policy = settled.candidate.policy
        assert isinstance(policy, Policy)
        found = settled.worth
        worth[name] = tuning.cross_validated(policy, search, materials[action_set]) if found is None else found
    return Choice(max(names, key=lambda name: round(worth[name], 9)), names, worth)


def bandit(variants: Mapping[str, Variant], chosen: Choice) -> str | None:
    """Whose learning is looked at: the treatment, where it learns over α; else the learner over α, or, for want of
    one, over any set, that is worth most: the larger sets have fewer seeds than convergence asks for."""
    learners = [name for name in chosen.tested if variants[name].path is not None]
    plain = [name for name in learners if variants[name].set == PLAIN] or learners
    if chosen.treatment in plain:
        return chosen.treatment
    return max(plain, key=lambda name: chosen.worth.get(name, 0.0), default=None)
