"""Searching the filter's settings, and a log before the filter: the experiments, without a run around them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from doubles import Bars
from feedback_batches import NOW

from rag_lab import config, wiring
from rag_lab.errors import ConfigError, DataError
from rag_lab.experiment import filter_settings
from rag_lab.experiment.feedback_effect import Band, Effect, Interval, Level
from rag_lab.experiment.lab import RECALL, Lab, Table
from rag_lab.l1_retrieval.actions import labels, read
from rag_lab.types import Dataset


def node(group: str, name: str) -> dict[str, Any]:
    content = yaml.safe_load((config.folder() / group / f"{name}.yaml").read_text(encoding="utf-8"))
    return content["experiment"] if group == "experiment" else content


def experiment(name: str, **changes: Any) -> Any:
    return wiring.build(node("experiment", name) | changes, "experiment")


def lab(filter: str = "vectorized") -> Lab:
    """A lab of which only the filter matters."""
    none: Any = None
    dataset = Dataset("none", (), "", "", 0)
    given: Mapping[str, Any] = {
        "seed": 3, "filter": node("filter", filter), "actions": {"alpha": ALPHAS}, "presets": {"otherwise": 0.5},
    }  # fmt: skip
    return Lab(given, {"filter": filter}, none, dataset, none, none, none, none, none, Bars(), none)


# The search


ALPHAS = [{"alpha": [0, 0.3, 0.6, 1]}]
SMALL = {
    "draws": 3, "values": {"min_trust": (0.2, 0.4), "prior_items": (1, 5)}, "noises": (0.0, 0.4), "seeds": 6,
    "queries_per_domain": 40, "users_in_all": 20, "readers": 4, "update_every": 10, "window": 3,
}  # fmt: skip


def level(noise: float, kept: float, saved: float, f1: float = 0.7) -> Level:
    some, gained = Interval(10.0, 9.0, 11.0), Interval(saved, saved - 1, saved + 1)
    return Level(noise, some, some, gained, kept, f1, f1, f1 if noise else None, 0.2, 0.05)


def found(*levels: Level) -> Effect:
    band = Band(*[np.zeros((len(levels), 1))] * 3)
    return Effect(list(levels), band, band)


def test_what_is_best() -> None:
    """Whoever keeps too little anywhere comes last. Of the others one saves (3 + 4)/20 of the regret where there
    is noise, with a standard error of √2 · 1/1.96/10/2 = 0.036; who saves as much but for that is told by F1.
    """
    hasty = found(level(0.0, 1.0, 0.0), level(0.1, 1.0, 9.0), level(0.3, 0.5, 9.0, f1=1.0))
    most = found(level(0.0, 0.99, -9.0), level(0.1, 0.92, 3.0), level(0.3, 0.91, 4.0))
    nearly = found(level(0.0, 0.99, -1.0), level(0.1, 0.95, 2.5), level(0.3, 0.93, 3.9, f1=0.8))
    less = found(level(0.0, 0.99, -1.0), level(0.1, 0.95, 2.5), level(0.3, 0.93, 3.7, f1=0.9))
    assert filter_settings.saved_share(most) == pytest.approx((0.35, 2**0.5 / 1.96 / 20))
    assert filter_settings.ranked([hasty, less, most, nearly], 0.9) == [3, 2, 1, 0]
    assert filter_settings.ranked([hasty], 0.9) == [0]


def test_a_small_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws come from the values given, the configured settings take part, and the best stands in the metrics."""
    random = np.random.default_rng(0)
    worth = random.random((40, 1)) < np.linspace(0.3, 0.9, 4)
    domain, none = np.repeat([0, 1], 20), np.zeros(40, int)
    actions = read("alpha", ALPHAS)
    table = Table(
        queries=(), domain=domain, context=domain, features=np.zeros((40, 1)), test=np.zeros(40, bool), cluster=none,
        metrics={RECALL: worth.astype(float)}, prices={}, reward=worth.astype(float),
        found=np.zeros((40, 4), np.int32), actions=actions, labels=tuple(labels(actions)),
        sets={"alpha": np.arange(4)}, baked={}, rows=none, tokens=none, identity="", unjudged=0, notes=(),
    )  # fmt: skip
    monkeypatch.setattr(filter_settings, "tabulate", lambda lab, sets, reward: table)
    monkeypatch.setattr(Dataset, "domains", ("a", "b"))
    found = experiment("filter_settings", **SMALL).execute(lab("jax"))
    rows = found.curves["filter_settings"]
    assert len(rows) == 4 and len(found.notes) == 4
    configured = node("filter", "jax")
    assert sum(row["min_trust"] == configured["min_trust"] for row in rows) == 1
    assert {row["min_trust"] for row in rows} <= {0.2, 0.4, configured["min_trust"]}
    admitted = [row["admitted"] for row in rows]
    assert admitted == sorted(admitted, reverse=True)
    assert found.metrics["filter/min_trust"] == rows[0]["min_trust"]
    assert all(len(row["levels"]) == 2 and row["levels"][0]["recall"] is None for row in rows)


@pytest.mark.parametrize(
    ("filter", "values", "problem"),
    [
        ("none", {"min_trust": [0.1]}, "filter=none judges nothing; give filter=vectorized"),
        ("jax", {"min_trust": [1.5]}, "filter.min_trust: given 1.5; "),
        ("jax", {"trust": [0.5]}, "filter.trust: no such name"),
    ],
)
def test_what_cannot_be_searched(filter: str, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        experiment("filter_settings", values=values).check(lab(filter))
    assert str(caught.value).startswith(problem)


# The log


def test_a_log(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    rows = [
        {"user": user, "query": query, "domain": "d", "rating": float((query + (user == 4)) % 2), "time_s": NOW,
         "dwell_s": 60, "position": 10}
        for query in range(12)
        for user in range(5)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    one = experiment("feedback_log", path=str(path))
    assert not one.needs_data
    one.check(lab())
    found = one.execute(lab())
    assert found.metrics["filter/kept_share"] == 0.8 and found.metrics["filter/items"] == 60
    assert found.notes[:2] == ["60 items by 5 users; kept 48.", "kept: 48"]
    assert "user 4: reliability 0.00, 0 of 12 kept" in found.notes
    assert found.curves["feedback_log"]["reasons"]["low_confidence"] == 12


def test_an_empty_log_has_no_share(tmp_path: Path) -> None:
    path = tmp_path / "feedback.jsonl"
    path.write_text("", encoding="utf-8")
    assert experiment("feedback_log", path=str(path)).execute(lab()).metrics == {"filter/items": 0}


def test_what_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"absent\.jsonl: cannot be read: No such file"):
        experiment("feedback_log", path=str(tmp_path / "absent.jsonl")).check(lab())
    with pytest.raises(ConfigError, match=r"^filter=none judges nothing; give filter=vectorized$"):
        experiment("feedback_log").check(lab("none"))
