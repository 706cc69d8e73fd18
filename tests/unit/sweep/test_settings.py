"""A sweep's settings: the file in conf/, objectives, and what cannot be."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from rag_lab import config
from rag_lab.errors import ConfigError
from rag_lab.sweep import settings
from rag_lab.sweep.settings import Objective

NOP, MEDIAN = ({"_target_": f"optuna.pruners.{name}Pruner"} for name in ("Nop", "Median"))
FILE = config.folder() / "hydra" / "sweeper" / "optuna.yaml"
DEFAULT = {
    **{key: one for key, one in yaml.safe_load(FILE.read_text(encoding="utf-8")).items() if key != "defaults"},
    "seed": 0, "sampler": {}, "pruner": NOP,
}  # fmt: skip


def test_the_file_holds_every_setting() -> None:
    found = settings.read(DEFAULT)
    assert set(settings.Settings._fields) == {key for key in DEFAULT if not key.startswith("_")}
    assert found.objectives == (Objective("maximize", "train/retrieval/recall_at_10"),)
    assert found.study_name is None and found.n_jobs == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"n_trials": 0}, "hydra.sweeper.n_trials: given 0; .*greater than or equal to 1"),
        ({"n_jobs": "many"}, "hydra.sweeper.n_jobs: given 'many'; .*integer"),
        ({"storage": "runs/sweeps.db"}, "hydra.sweeper.storage: given 'runs/sweeps.db'"),
        ({"stale_after_s": -1}, "hydra.sweeper.stale_after_s: given -1"),
        ({"objectives": []}, "hydra.sweeper.objectives: given"),
        ({"objectives": ["recall"]}, "given 'recall'; allowed is maximize or minimize, a space and a metric"),
        ({"objectives": ["max recall"]}, "given 'max recall'; allowed is maximize or minimize"),
        ({"objectives": ["maximize a", "minimize a"]}, "each metric can be named once"),
        ({"objectives": ["maximize a", "minimize b"], "pruner": MEDIAN}, "pruning needs a single objective"),
        ({"trials": 3}, "hydra.sweeper.trials: no such name; did you mean 'n_trials'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        settings.read({**DEFAULT, **changes})


def test_an_objective_is_looked_up_where_it_stands() -> None:
    document = {"metrics": {"retrieval/recall_at_10": 0.5}, "train": {"retrieval/recall_at_10": 0.7}}
    assert Objective("maximize", "retrieval/recall_at_10").value(document) == 0.5
    assert Objective("maximize", "train/retrieval/recall_at_10").value(document) == 0.7
    assert Objective("maximize", "retrieval/mrr_at_10").value(document) is None
    assert Objective("maximize", "train/retrieval/recall_at_10").value({"metrics": {}}) is None


@pytest.mark.parametrize(
    ("metric", "on_test"),
    [
        ("train/retrieval/recall_at_10", False),
        ("bandit/cumulative_regret", False),
        ("law/bandit/convergence_queries", False),
        ("bandit/gap_closed", True),  # between what was scored on test queries
        ("retrieval/recall_at_10", True),
        ("cost/usd_per_1k_queries", True),
    ],
)
def test_an_objective_knows_whether_it_looks_at_test_queries(metric: str, on_test: bool) -> None:
    assert Objective("maximize", metric).on_test == on_test
