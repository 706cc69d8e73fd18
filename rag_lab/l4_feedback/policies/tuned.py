"""The best fixed setting that the same budget buys: α tuned by Optuna on train queries, then frozen."""

from __future__ import annotations

from rag_lab.l4_feedback.policy import Budget, Policy, lookup


def build(*, per_domain: bool, budget: Budget) -> Policy:
    """The policy. per_domain: one α a domain, not one for all; budget: what is counted (protocol: budgets)."""
    return lookup(lambda setting: setting.tune(per_domain, budget), per_domain=per_domain, fitted=True)
