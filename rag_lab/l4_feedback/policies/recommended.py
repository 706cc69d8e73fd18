"""The setting that an earlier run recommended: its `recommended.yaml`, one action for each domain."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from jaxtyping import Int

from rag_lab.errors import ConfigError, DataError
from rag_lab.l4_feedback.policy import Policy, Setting, lookup


class _Recommended(NamedTuple):
    """actions: the set; domains: the name of each domain's action; otherwise: the one for all others."""

    actions: str
    domains: dict[str, str]
    otherwise: str


def _read(file: Path) -> _Recommended:
    if not file.is_file():
        raise DataError("no such file; give an earlier run's recommended.yaml as policy.path", file)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        domains = {str(name): str(setting["action"]) for name, setting in content["domains"].items()}
        return _Recommended(str(content["actions"]), domains, str(content["otherwise"]["action"]))
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError) as error:
        allowed = "actions, domains.<name>.action and otherwise.action, as a run writes them"
        raise DataError(f"not a recommended.yaml; it holds {allowed}", file) from error


def build(*, path: str) -> Policy:
    """The policy. path: a run's recommended.yaml; DataError where it is none, ConfigError where a domain lacks."""
    found = _read(Path(path))  # once and at once: runs/latest may point elsewhere later

    def choose(setting: Setting) -> Int[np.ndarray, " C"]:
        missing = [domain for domain in setting.domains if domain not in found.domains]
        if missing:
            known = ", ".join(found.domains)
            raise ConfigError(f"{path} recommends nothing for {', '.join(missing)}; it knows {known}")
        every = [*(found.domains[domain] for domain in setting.domains), found.otherwise]
        unknown = [one for one in every if one not in setting.labels]
        if unknown:
            raise ConfigError(f"{path}: '{unknown[0]}' is not in the action set '{found.actions}' of this run")
        return np.array([setting.labels.index(one) for one in every])

    return lookup(choose, per_domain=True, fitted=True, actions=(found.actions,))
