"""The configuration's own keys, with their types, as Hydra's ConfigStore wants them; groups come from conf/."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import MISSING

CHECKOUT = Path(__file__).resolve().parent.parent / "conf"
INSTALLED = Path(__file__).resolve().parent / "conf"


def folder() -> Path:
    """Where the YAML files are: beside the package in a checkout, inside it in a wheel."""
    return INSTALLED if INSTALLED.is_dir() else CHECKOUT


@dataclass
class Config:
    """The top level. A group holds whatever its variant's YAML holds; its `build` checks that."""

    seed: int = MISSING
    gate: bool = MISSING
    debug: bool = MISSING
    presets: dict[str, float] = field(default_factory=dict)
    actions: dict[str, Any] = field(default_factory=dict)
    references: list[str] = MISSING
    experiment: Any = None
    data: Any = None
    encoder: Any = None
    detector: Any = None
    retriever: Any = None
    generator: Any = None
    filter: Any = None
    policy: Any = None
    router: Any = None
    cache: Any = None
    prices: Any = None
    quality: Any = None
    search: Any = None
    tracking: Any = None
    telemetry: Any = None
    alert: Any = None


KEYS = tuple(Config.__dataclass_fields__)
VALUES = ("seed", "gate", "debug", "presets", "actions", "references")  # the keys that are no group
GROUPS = tuple(name for name in KEYS if name not in VALUES)


def open_mapping(node: Any, *keys: str) -> Any:
    """The node with mappings `keys` that take new keys on the command line without a '+'."""
    from omegaconf import OmegaConf

    for key in keys:
        OmegaConf.set_struct(node[key], False)
    return node


def register() -> None:
    """Tell Hydra about them."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    store.store(name="schema", node=open_mapping(OmegaConf.structured(Config), "presets", "actions"))
    # In a group of Hydra's own, so that it is not offered as a variant of ours.
    store.store(
        group="hydra/rag_lab", name="open_domains", node=open_mapping(OmegaConf.create({"domains": {}}), "domains")
    )
