"""The best fixed setting that the same budget buys: an action tuned by Optuna on train queries, then frozen."""

from __future__ import annotations

from rag_lab.l4_feedback.policy import Budget, Policy, Sets, lookup


def build(*, per_domain: bool, budget: Budget, actions: Sets) -> Policy:
    """The policy. per_domain: one action a domain, not one for all; budget: what is counted (protocol: budgets)."""
    return lookup(lambda setting: setting.tune(per_domain, budget), per_domain=per_domain, fitted=True, actions=actions)
