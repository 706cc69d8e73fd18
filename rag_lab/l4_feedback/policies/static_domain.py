"""One α for each domain: the presets of the configuration, without any evidence."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.policy import Policy, Sets, Setting, lookup


def _choose(setting: Setting) -> Int[np.ndarray, " C"]:
    if setting.presets is None:
        raise ConfigError("static_domain needs presets; set presets.<domain>=<alpha>")
    return np.array([setting.action(float(alpha)) for alpha in setting.presets])


def build(*, actions: Sets) -> Policy:
    """The policy; its α are the configuration's `presets`."""
    return lookup(_choose, per_domain=True, fitted=False, actions=actions)
