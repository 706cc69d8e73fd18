"""What goes into summary.json: plain finite numbers, written whole, with a hash of the configuration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from doubles import collection

from rag_lab.experiment import summary
from rag_lab.types import Dataset


def test_numpy_s_numbers_become_python_s() -> None:
    given = {"a": np.float32(0.5), "b": (np.int64(2), [np.bool_(True)]), 3: np.arange(2), "c": None, "d": "x"}
    found = summary.plain(given)
    assert found == {"a": 0.5, "b": [2, [True]], "3": [0, 1], "c": None, "d": "x"}
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32(np.nan), np.array([1.0, np.nan])])
def test_a_number_that_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="not finite"):
        summary.plain({"metrics": {"recall": value}})


def test_a_refused_document_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    summary.write_json(path, {"recall": 0.5, "name": "α"})
    assert json.loads(path.read_text(encoding="utf-8")) == {"recall": 0.5, "name": "α"}
    with pytest.raises(ValueError, match="not finite"):
        summary.write_json(path, {"recall": np.nan})
    assert json.loads(path.read_text(encoding="utf-8")) == {"recall": 0.5, "name": "α"}
    assert list(tmp_path.iterdir()) == [path]


def test_the_configuration_s_hash_follows_its_values_not_their_order() -> None:
    one = summary.config_hash({"seed": 0, "policy": {"alpha": 0.5, "name": "static"}})
    assert one == summary.config_hash({"policy": {"name": "static", "alpha": 0.5}, "seed": 0})
    assert one != summary.config_hash({"seed": 1, "policy": {"alpha": 0.5, "name": "static"}})
    assert len(one) == 16 and int(one, 16) >= 0


def test_the_data_are_counted_by_domain_and_split() -> None:
    domains = (
        collection(["a", "b", "c"], ["q"], [{0: 1}], domain="law", split="test"),
        collection(["a"], ["q", "r"], [{0: 1}, {0: 1}], domain="sport", split="train"),
    )
    dataset = Dataset("two", domains, "f" * 64, "# card", dropped_overlap=3)
    assert summary.describe(dataset) == {
        "fingerprint": "f" * 64,
        "dropped_overlap": 3,
        "domains": {
            "law": {"passages": 3, "queries_train": 0, "queries_test": 1},
            "sport": {"passages": 1, "queries_train": 2, "queries_test": 0},
        },
    }


def test_versions_name_what_numbers_depend_on() -> None:
    found = summary.versions()
    assert {"python", "jax", "numpy", "optuna", "bm25s", "tokenizers"} <= set(found) and all(found.values())


def test_the_device_says_where_arrays_live() -> None:
    import jax

    found = summary.device()
    assert found and (jax.devices()[0].platform != "cpu" or found.startswith("cpu ("))
