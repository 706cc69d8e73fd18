from __future__ import annotations

import numpy as np
import pydantic
import pytest
from unit.economy.offers import ACTIONS, SPACE

from rag_lab.economy import actions, front
from rag_lab.economy.actions import Action, Space
from rag_lab.errors import ConfigError


def test_the_space_is_a_product_in_order() -> None:
    assert len(ACTIONS) == 2 * 3 * 2 and ACTIONS[0] == Action("small", 2, 1.0, 512)
    assert ACTIONS[-1] == Action("large", 10, 0.5, 512) and ACTIONS[0].label == "small·k2·λ1·512"


def test_a_value_given_twice_counts_once() -> None:
    assert len(SPACE._replace(passages=(2, 2, 5)).actions()) == 8


def test_a_space_is_read_from_a_mapping_and_checked() -> None:
    read = pydantic.TypeAdapter(Space).validate_python
    node = {"tiers": ["small"], "passages": [5], "mmr": [1.0, 0.5], "context_tokens": [512]}
    assert read(node).actions() == (Action("small", 5, 1.0, 512), Action("small", 5, 0.5, 512))
    for key, value in (("tiers", []), ("passages", [0]), ("mmr", [1.5]), ("context_tokens", [])):
        with pytest.raises(pydantic.ValidationError):
            read(node | {key: value})


def test_an_action_is_found_or_what_is_wrong_with_it_is_said() -> None:
    assert actions.place(ACTIONS, Action("large", 2, 0.5, 512), "router") == 7
    with pytest.raises(ConfigError, match=r"^router\.tier: given medium; the action space has small, large$"):
        actions.place(ACTIONS, Action("medium", 2, 0.5, 512), "router")
    with pytest.raises(ConfigError, match=r"^router: small·k2·λ1·512 is not in the action space"):
        actions.place((Action("small", 2, 0.5, 512), Action("large", 2, 1.0, 512)), ACTIONS[0], "router")


@pytest.mark.parametrize("shape", ["cube", "sphere", "grid"])
def test_one_large_front_is_the_same_in_blocks_and_by_moocore(shape: str) -> None:
    """More than two blocks; on the sphere every point stands."""
    moocore = pytest.importorskip("moocore")
    points = np.random.default_rng(0).random((2 * front.BLOCK + 9, 3)).astype(np.float32)
    if shape == "sphere":
        points /= np.linalg.norm(points, axis=1, keepdims=True)
    elif shape == "grid":
        points = np.round(points * 20)
    expected = moocore.is_nondominated(points.astype(np.float64), keep_weakly=True)
    assert front.in_blocks(points).tolist() == expected.tolist() == front.nondominated(points).tolist()
    assert shape != "sphere" or expected.all()
