"""One action for all queries: the best by mean quality on train, each domain weighing the same.

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


def base(setting: Setting) -> Bool[np.ndarray, " A"]:
    """The actions of the cheapest tier, which is that of the action that can cost least."""
    tier = setting.actions[int(setting.train.most_usd.argmin())].tier
    return np.array([one.tier == tier for one in setting.actions])


def best(setting: Setting, among: Bool[np.ndarray, " A"]) -> int:
    """The action with the highest mean quality among some; of equals the cheapest."""
    quality, cost = means(setting.train.quality, setting), means(setting.train.cost_usd, setting)
    return min(np.flatnonzero(among).tolist(), key=lambda action: (-round(float(quality[action]), 9), cost[action]))
