"""A sweep's settings, as conf/hydra/sweeper/optuna.yaml holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from rag_lab import wiring
from rag_lab.errors import ConfigError

WHERE = "hydra.sweeper"
TRAIN = "train/"
LEARNING = ("bandit/cumulative_regret", "bandit/convergence_queries")  # measured on train, as a policy learns
Direction = Literal["maximize", "minimize"]


class Objective(NamedTuple):
    """A metric of summary.json, and which way is better."""

    direction: Direction
    metric: str

    def value(self, document: Mapping[str, Any]) -> float | None:
        """What a run's summary.json says of it, or None. `train/…` is looked up in its part `train`."""
        part = "train" if self.metric.startswith(TRAIN) else "metrics"
        found = document.get(part, {}).get(self.metric.removeprefix(TRAIN))
        return None if found is None else float(found)

    @property
    def on_test(self) -> bool:
        """Whether it looks at test queries, as all metrics of a run do but those of learning."""
        return not self.metric.startswith(TRAIN) and not self.metric.endswith(LEARNING)


class Settings(NamedTuple):
    """See the YAML file."""

    params: Mapping[str, Any]
    n_trials: int
    n_jobs: int
    objectives: tuple[Objective, ...]
    storage: str
    study_name: str | None
    seed: int
    stale_after_s: float
    sampler: Mapping[str, Any]
    pruner: Mapping[str, Any]


def read(node: Mapping[str, Any]) -> Settings:
    """The settings of a resolved `hydra.sweeper`; ConfigError where a value cannot be."""
    return wiring.call(_settings, {key: one for key, one in node.items() if not key.startswith("_")}, WHERE)


def _settings(
    *,
    params: dict[str, Any],
    n_trials: Annotated[int, Field(ge=1)],
    n_jobs: Annotated[int, Field(ge=1)],
    objectives: Annotated[list[str], Field(min_length=1)],
    storage: Annotated[str, Field(pattern=r"^[a-z][a-z0-9+]*://.+")],
    study_name: Annotated[str, Field(min_length=1)] | None,
    seed: Annotated[int, Field(ge=0)],
    stale_after_s: Annotated[float, Field(gt=0)],
    sampler: dict[str, Any],
    pruner: dict[str, Any],
) -> Settings:
    wanted = tuple(_objective(text) for text in objectives)
    if len({one.metric for one in wanted}) < len(wanted):
        raise ConfigError(f"{WHERE}.objectives: given {', '.join(objectives)}; each metric can be named once")
    if len(wanted) > 1 and str(pruner.get(wiring.TARGET)) != "optuna.pruners.NopPruner":
        raise ConfigError(f"{WHERE}.pruner: pruning needs a single objective; give hydra/sweeper/pruner=none")
    return Settings(
        params, n_trials, n_jobs, wanted, storage, study_name, seed, stale_after_s, sampler, pruner
    )  # fmt: skip


def _objective(text: str) -> Objective:
    direction, _, metric = text.strip().partition(" ")
    if direction not in ("maximize", "minimize") or not metric.strip():
        example = "maximize train/retrieval/recall_at_10"
        raise ConfigError(
            f"{WHERE}.objectives: given '{text}'; allowed is maximize or minimize, a space and a metric of "
            f"summary.json, as in '{WHERE}.objectives=[{example}]'"
        )
    return Objective(direction, metric.strip())  # type: ignore[arg-type]
