"""Single actions for all queries, chosen by their means on train, each domain weighing the same.

Shapes: Q train queries, A actions.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from rag_lab.economy.router import Setting


def means(values: Float[np.ndarray, "Q A"], setting: Setting) -> Float[np.ndarray, " A"]:
    """Each action's mean over the contexts that train queries have, each weighing the same."""
    contexts = np.unique(setting.context)
    return np.mean([values[setting.context == one].mean(axis=0) for one in contexts], axis=0)


def cheap(setting: Setting, share: float) -> int:
    """The best of the actions that cost at most this share of what the best of all costs; else the cheapest."""
    cost = means(setting.train.cost_usd, setting)
    within = cost <= share * cost[best(setting)]
    return best(setting, within if within.any() else cost <= cost.min())


def base(setting: Setting) -> Bool[np.ndarray, " A"]:
    """The actions of the cheapest tier, which is that of the action that can cost least."""
    tier = setting.actions[int(setting.train.most_usd.argmin())].tier
    return np.array([one.tier == tier for one in setting.actions])


def best(setting: Setting, among: Bool[np.ndarray, " A"] | None = None) -> int:
    """The action with the highest mean quality, of all or of some; of equals the cheapest."""
    quality, cost = means(setting.train.quality, setting), means(setting.train.cost_usd, setting)
    actions = range(len(cost)) if among is None else np.flatnonzero(among).tolist()
    return min(actions, key=lambda action: (-round(float(quality[action]), 9), cost[action]))
