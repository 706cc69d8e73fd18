"""`hydra/sweeper=optuna`: where Hydra finds rag_lab's sweeper, which is `rag_lab.sweep`.

Hydra takes plugins from the namespace package `hydra_plugins` alone and imports all of it at every start, so this
file holds nothing else. The settings are those of conf/hydra/sweeper/optuna.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSweeper(Sweeper):
    """A multirun whose jobs Optuna chooses."""

    def __init__(self, **settings: Any) -> None:
        """Hydra gives the settings here; they are read where the rest of the configuration is."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra hands over."""
        from rag_lab import cli, sweep

        self._run = partial(
            sweep.run, config=config, context=hydra_context, function=task_function, open_parent=cli.open_sweep
        )

    def sweep(self, arguments: Sequence[str]) -> None:
        """Bring the study to its number of trials."""
        self._run(arguments)
