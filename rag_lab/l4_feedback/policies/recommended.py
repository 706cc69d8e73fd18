"""The setting that an earlier run recommended: its `recommended.yaml`, one α for each domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Int

from rag_lab.errors import ConfigError, DataError
from rag_lab.l4_feedback.policy import Policy, Setting, lookup


def build(*, path: str) -> Policy:
    """The policy. path: a run's recommended.yaml; DataError where it is none, ConfigError where a domain lacks."""

    def choose(setting: Setting) -> Int[np.ndarray, " C"]:
        file = Path(path)
        if not file.is_file():
            raise DataError("no such file; give an earlier run's recommended.yaml as policy.path", file)
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
            alphas = {name: float(one["alpha"]) for name, one in content["domains"].items()}
            otherwise = float(content["otherwise"]["alpha"])
        except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                "not a recommended.yaml as a run writes it: domains.<name>.alpha, otherwise.alpha", file
            ) from error
        missing = [domain for domain in setting.domains if domain not in alphas]
        if missing:
            raise ConfigError(f"{file} recommends nothing for {', '.join(missing)}; it knows {', '.join(alphas)}")
        return np.array(
            [setting.action(alphas[domain]) for domain in setting.domains] + [setting.action(otherwise)]
        )

    return lookup(choose, per_domain=True, fitted=True)
