"""From a node to an object: every value is checked against the annotation of the parameter it goes to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from rag_lab import wiring
from rag_lab.errors import ConfigError
from rag_lab.l4_feedback.policy import Policy

STATIC = {"_target_": "rag_lab.l4_feedback.policies.static.build", "alpha": 0.3, "actions": ["alpha"]}
HYBRID = yaml.safe_load((Path(__file__).resolve().parents[2] / "conf" / "retriever" / "hybrid.yaml").read_text("utf-8"))


def test_a_node_is_built() -> None:
    assert isinstance(wiring.build(STATIC, "policy"), Policy)
    assert "100" in repr(wiring.build(HYBRID, "retriever"))


@pytest.mark.parametrize(
    ("node", "says"),
    [
        (STATIC | {"alhpa": 1}, "policy.alhpa: no such name; did you mean 'alpha'? allowed: alpha, actions"),
        ({"_target_": STATIC["_target_"]}, "policy.alpha is missing; give policy.alpha=<value>"),
        (STATIC | {"alpha": 2}, "policy.alpha: given 2; input should be less than or equal to 1"),
        (STATIC | {"alpha": "x"}, "policy.alpha: given 'x'; input should be a valid number"),
        (STATIC | {"alpha": None}, "policy.alpha: given None; input should be a valid number"),
        (STATIC | {"alpha": [0.3]}, "policy.alpha: given [0.3]; input should be a valid number"),
        (STATIC | {"_target_": "os.system"}, "policy._target_: given 'os.system'; allowed is a build function of"),
        (STATIC | {"_target_": "rag_lab.nothing.build"}, "policy._target_: given 'rag_lab.nothing.build'"),
        ({}, "policy._target_: given ''; allowed is a build function of rag_lab"),
        (HYBRID | {"pool": 0}, "policy.pool: given 0"),
        (HYBRID | {"pool": 1.5}, "policy.pool: given 1.5; input should be a valid integer"),
    ],
)
def test_a_bad_node_is_refused_in_one_line(node: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        wiring.build(node, "policy")
    message = str(caught.value)
    assert message.startswith(says) and "\n" not in message
    assert caught.value.exit_status == 2


def test_a_bad_entry_is_named_by_its_whole_place() -> None:
    node = {
        "_target_": "rag_lab.data.beir.build", "domains": {"a/b": "x"}, "max_queries": None, "max_passages": None,
        "test_share": 0.5, "keep_overlap": False,
    }  # fmt: skip
    with pytest.raises(ConfigError, match=r"^data\.domains\.a/b.*: given 'a/b'; string should match pattern"):
        wiring.build(node, "data")


def test_names_come_with_the_nearest_and_all() -> None:
    assert wiring.unknown("policy=x", "tompson", ["static", "thompson"]) == (
        "policy=x: no such name; did you mean 'thompson'? allowed: static, thompson"
    )
    assert wiring.unknown("policy=x", "zzz", ["static"]) == "policy=x: no such name; allowed: static"
    assert wiring.unknown("cache.x", "x", []) == "cache.x: no such name; allowed: none"
