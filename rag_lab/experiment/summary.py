"""summary.json: what a run found, and everything needed to find it again."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from rag_lab.assets import atomic
from rag_lab.metrics.significance import Comparison
from rag_lab.metrics.targets import Judged
from rag_lab.types import Dataset

SCHEMA = 1
CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGES = ("rag-lab", "jax", "numpy", "optuna", "bm25s", "tokenizers", "mlflow", "hydra-core")


class Findings(NamedTuple):
    """What an experiment hands over: the parts of summary.json, the curves, and for the tracker each variant's
    tags and the variant that the others are held against. metrics are of the test split; train: the treatment's on
    train, which is all that a search over its settings may look at.
    """

    metrics: Mapping[str, float]
    variants: Mapping[str, Mapping[str, float]]
    comparisons: list[Comparison]
    targets: list[Judged]
    curves: Mapping[str, Any]
    notes: list[str]
    tags: Mapping[str, Mapping[str, str]]
    baseline: str | None
    train: Mapping[str, float] = MappingProxyType({})


def versions() -> dict[str, str]:
    """The interpreter and the packages that numbers depend on."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def device() -> str:
    """Where arrays live: the platform, its kind, and how many."""
    import jax

    found = jax.devices()
    cores = f", {len(os.sched_getaffinity(0))} cores" if hasattr(os, "sched_getaffinity") else ""
    name = f"cpu ({platform.machine()}{cores})" if found[0].platform == "cpu" else found[0].device_kind
    return name if len(found) == 1 else f"{len(found)} × {name}"


def git() -> dict[str, Any]:
    """The commit that the code is at, and whether it was changed since; nulls outside a checkout."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(Path(__file__).parent), *words], capture_output=True, text=True, timeout=20
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    top = ask("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != CHECKOUT:
        return {"sha": None, "dirty": None}  # installed, perhaps into somebody else's checkout
    sha = ask("rev-parse", "HEAD")
    status = ask("-C", top, "status", "--porcelain", "--", "rag_lab", "conf", "requirements.lock")
    return {"sha": sha, "dirty": None if sha is None or status is None else bool(status)}


def config_hash(config: Mapping[str, Any]) -> str:
    """A hash of the resolved configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode()).hexdigest()[:16]


WATCHERS = ("telemetry", "alert", "tracking", "gate", "debug")  # keys on which no number of a run depends


def series(config: Mapping[str, Any], fingerprint: str, device: str) -> str:
    """The same for runs that may be held against each other: configuration, data and device."""
    depends = {key: value for key, value in config.items() if key not in WATCHERS}
    return config_hash({"config": depends, "data": fingerprint, "device": device})


def describe(dataset: Dataset) -> dict[str, Any]:
    """The `data` part."""
    return {
        "fingerprint": dataset.fingerprint,
        "dropped_overlap": dataset.dropped_overlap,
        "domains": {
            one.domain: {
                "passages": len(one.passages),
                "queries_train": sum(query.split == "train" for query in one.queries),
                "queries_test": sum(query.split == "test" for query in one.queries),
            }
            for one in dataset.collections
        },
    }


def plain(value: Any) -> Any:
    """The value with NumPy's numbers made Python's; ValueError where a number is not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is not finite; leave it out, absent is not zero")
    return value


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    with atomic.write(path) as temporary:
        temporary.write_text(json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def compose(head: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """The whole document."""
    return {
        **head,
        "metrics": dict(findings.metrics),
        "train": dict(findings.train),
        "variants": {name: dict(metrics) for name, metrics in findings.variants.items()},
        "comparisons": [row._asdict() for row in findings.comparisons],
        "targets": [row._asdict() for row in findings.targets],
        "notes": findings.notes,
    }


NOTHING = Findings({}, {}, [], [], {}, [], {}, None)
