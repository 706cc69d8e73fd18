"""A finished run, read from its folder: `runs/<experiment>/<stamp>/` or an adopted copy of it.

`summary.json` (rag_lab/summary.schema.json) is required; `curves.json`, `resolved.yaml` and `data_card.md`
are read where they are. Metrics of one domain are named `<domain>/<metric>`, means over domains `<metric>`,
ends of 95% intervals `<metric>_ci_low` and `<metric>_ci_high`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rag_lab.errors import DataError

REQUIRED = (
    "run_id",
    "experiment",
    "status",
    "seed",
    "device",
    "data",
    "metrics",
    "variants",
    "comparisons",
    "targets",
)
PRIMARY = "primary"
RECALL = "retrieval/recall_at_10"
NDCG = "retrieval/ndcg_at_10"
USD = "cost/usd_per_1k_queries"


class Estimate(NamedTuple):
    """A metric with its 95% interval; None where it was not measured."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """What a run's folder says. `config`: the resolved configuration, `card`: the data card, when kept."""

    folder: Path
    summary: Mapping[str, Any]
    curves: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    card: str | None = None

    @property
    def treatment(self) -> str | None:
        """The variant under test; None where the run names none."""
        named = self.curves.get("treatment")
        return str(named) if named else next((row["treatment"] for row in self.family(PRIMARY)), None)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains in the order of the run's configuration."""
        return tuple(self.curves.get("domains") or self.summary["data"]["domains"])

    @property
    def ceilings(self) -> tuple[str, ...]:
        """Variants that only hindsight can reach."""
        named = self.curves.get("ceilings")
        wanted = named if named is not None else [v for v in self.variants if v.startswith("oracle_")]
        return tuple(variant for variant in wanted if variant in self.variants)

    @property
    def variants(self) -> Mapping[str, Mapping[str, float]]:
        """Metrics of the test split by variant."""
        variants: Mapping[str, Mapping[str, float]] = self.summary["variants"]
        return variants

    @property
    def order(self) -> tuple[str, ...]:
        """Variants as they are read: the treatment, references from best to worst recall, ceilings."""

        def rank(variant: str) -> tuple[bool, bool, bool, float, str]:
            recall = self.variants[variant].get(RECALL)
            return (
                variant != self.treatment,
                variant in self.ceilings,
                recall is None,
                -(recall or 0.0),
                variant,
            )

        return tuple(sorted(self.variants, key=rank))

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the families of comparisons, the primary one first."""
        names = dict.fromkeys(row["family"] for row in self.summary["comparisons"])
        return tuple(sorted(names, key=lambda name: name != PRIMARY))

    @property
    def data_name(self) -> str:
        """The data variant's name (`packaged`, `beir` …), or "data" where the configuration was not kept."""
        return str(self.config.get("variant_names", {}).get("data", "data"))

    def family(self, name: str) -> list[Mapping[str, Any]]:
        """Comparisons of one family, in the order of the run."""
        return [row for row in self.summary["comparisons"] if row["family"] == name]

    def estimate(self, variant: str, metric: str, domain: str | None = None) -> Estimate:
        """A variant's metric in a domain (None: the mean over domains), with its interval."""
        name = metric if domain is None else f"{domain}/{metric}"
        values = self.variants[variant]
        if name not in values:
            return Estimate(None, None, None)
        return Estimate(values[name], values.get(f"{name}_ci_low"), values.get(f"{name}_ci_high"))

    def setting(self, key: str) -> Any:
        """The first value that `key` has anywhere in the configuration; None where it has none."""
        return next(_values_of(self.config, key), None)


def load(folder: Path | str) -> Run:
    """Read a run's folder. Raises DataError, in one line, where it is no finished run's folder."""
    folder = Path(folder)
    path = folder / "summary.json"
    if not path.is_file():
        if (folder / "events.jsonl").is_file() or (folder / ".hydra").is_dir():
            raise DataError("the run has no summary.json yet: wait until it ends, or start it again", folder)
        raise DataError("no run folder: name one that holds summary.json, for instance runs/latest", folder)
    summary = _read_json(path)
    missing = [key for key in REQUIRED if key not in summary]
    if missing:
        raise DataError(f"not a run's summary: lacks {', '.join(missing)}; run the experiment again", path)
    if summary["status"] not in ("finished", "failed"):
        raise DataError(f"status is {summary['status']!r}, not finished or failed: wait until the run ends", path)
    curves = folder / "curves.json"
    card = folder / "data_card.md"
    return Run(
        folder=folder,
        summary=summary,
        curves=_read_json(curves) if curves.is_file() else {},
        config=_read_config(folder / "resolved.yaml"),
        card=card.read_text(encoding="utf-8") if card.is_file() else None,
    )


def _read_json(path: Path) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"holds {constant}, which is not a number")

    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
    except (OSError, ValueError) as error:
        raise DataError(f"cannot be read ({error}); run the experiment again", path) from error
    if not isinstance(content, dict):
        raise DataError("holds no JSON object; run the experiment again", path)
    return content


def _read_config(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    from omegaconf import OmegaConf  # takes a moment: only where a configuration is there to read

    try:
        content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except Exception as error:  # YAML's own errors have no narrower common class, and span lines
        problem = str(error).splitlines()[0]
        raise DataError(f"is not readable YAML ({problem}); copy it again from the run", path) from error
    return {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}


def _values_of(tree: Any, key: str) -> Iterator[Any]:
    if isinstance(tree, Mapping):
        if key in tree:
            yield tree[key]
        for branch in tree.values():
            yield from _values_of(branch, key)
    elif isinstance(tree, Sequence) and not isinstance(tree, str):
        for branch in tree:
            yield from _values_of(branch, key)
