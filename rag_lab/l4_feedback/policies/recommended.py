"""The setting that an earlier run recommended: its `recommended.yaml`, one α for each domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from jaxtyping import Int

from rag_lab.errors import ConfigError, DataError
from rag_lab.l4_feedback.policy import Policy, Setting, lookup


def _read(file: Path) -> tuple[dict[str, float], float]:
    """α by domain, and the one for all others."""
    if not file.is_file():
        raise DataError("no such file; give an earlier run's recommended.yaml as policy.path", file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        alphas = {name: float(setting["alpha"]) for name, setting in content["domains"].items()}
        return alphas, float(content["otherwise"]["alpha"])
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        allowed = "domains.<name>.alpha and otherwise.alpha, as a run writes them"
        raise DataError(f"not a recommended.yaml; it holds {allowed}", file) from error


def build(*, path: str) -> Policy:
    """The policy. path: a run's recommended.yaml; DataError where it is none, ConfigError where a domain lacks."""
    alphas, otherwise = _read(Path(path))  # once and at once: runs/latest may point elsewhere later

    def choose(setting: Setting) -> Int[np.ndarray, " C"]:
        missing = [domain for domain in setting.domains if domain not in alphas]
        if missing:
            raise ConfigError(f"{path} recommends nothing for {', '.join(missing)}; it knows {', '.join(alphas)}")
        every = [*(alphas[domain] for domain in setting.domains), otherwise]
        return np.array([setting.action(alpha) for alpha in every])

    return lookup(choose, per_domain=True, fitted=True)
