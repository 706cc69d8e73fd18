"""Action sets as data: what a list of grids becomes, and what is said of bad ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab import config
from rag_lab.errors import ConfigError
from rag_lab.l1_retrieval.actions import WHOLE, columns, describe, labels, read, union

SETS: dict[str, Any] = yaml.safe_load((config.folder() / "config.yaml").read_text(encoding="utf-8"))["actions"]
grids = st.lists(
    st.fixed_dictionaries(
        {"alpha": st.lists(st.sampled_from([0, 0.1, 0.5, 1]), min_size=1, max_size=3)},
        optional={
            "expansion": st.lists(st.sampled_from(["none", "rocchio", "rm3"]), min_size=1, max_size=2),
            "fusion": st.lists(st.sampled_from(["convex", "reciprocal_rank"]), min_size=1, max_size=2),
            "late": st.lists(st.sampled_from([0, 0.5]), min_size=1, max_size=2),
            "depth": st.lists(st.sampled_from(["all", 5]), min_size=1, max_size=2),
        },
    ),
    min_size=1,
    max_size=3,
)


def test_by_hand() -> None:
    found = read(
        "mine",
        [
            {"alpha": [0, 0.5]},
            {"alpha": [0.5], "expansion": ["none", "rm3"], "late": [0, 0.25], "depth": ["all", 20]},
            {"alpha": [1], "expansion": ["rocchio"], "fusion": ["reciprocal_rank"]},
        ],
    )
    assert labels(found) == [
        "α 0",
        "α 0.5",
        "α 0.5, top 20",
        "α 0.5 + late 0.25",
        "α 0.5 + late 0.25, top 20",
        "α 0.5 + rm3",
        "α 0.5 + rm3, top 20",
        "α 0.5 + rm3 + late 0.25",
        "α 0.5 + rm3 + late 0.25, top 20",
        "α 1 by ranks + rocchio",
    ]
    assert found.name == "mine"
    assert found.expansion.tolist() == [0, 0, 0, 0, 0, 2, 2, 2, 2, 1] and found.fusion.tolist() == [0] * 9 + [1]
    assert found.depth.tolist()[:3] == [WHOLE, WHOLE, 20]
    assert describe(found) == (
        "mine: 10 actions; α 0–1; expansion none, rocchio, rm3; fusion convex, reciprocal_rank; late 0, 0.25; "
        "depth 20, all"
    )


@settings(max_examples=50, deadline=None)
@given(grids)
def test_a_set_is_the_union_of_its_grids_products(written: list[dict[str, Any]]) -> None:
    plain = {"expansion": ["none"], "fusion": ["convex"], "late": [0], "depth": ["all"]}
    wanted = {
        (alpha, expansion, fusion, late, depth)
        for grid in (plain | one for one in written)
        for alpha in grid["alpha"]
        for expansion in grid["expansion"]
        for fusion in grid["fusion"]
        for late in grid["late"]
        for depth in grid["depth"]
    }
    found = read("any", written)
    assert len(found.alpha) == len(wanted) == len(set(labels(found)))
    parts = [read("part", [grid]) for grid in written]
    for ours, theirs in zip(union(parts)[1:], found[1:], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for part in parts:
        at = columns(part, found)
        for ours, theirs in zip(part[1:], found[1:], strict=True):
            np.testing.assert_array_equal(ours, theirs[at])


def test_the_standing_set_alpha_is_the_protocol_s() -> None:
    found = read("alpha", SETS["alpha"])
    assert found.alpha.tolist() == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert not any(column.any() for column in (found.expansion, found.fusion, found.late))
    assert set(found.depth.tolist()) == {WHOLE} and describe(found) == "alpha: 11 actions; α 0–1"


def test_the_standing_set_rich_has_every_action_of_alpha_and_every_dimension() -> None:
    rich, alpha = read("rich", SETS["rich"]), read("alpha", SETS["alpha"])
    assert columns(alpha, rich).tolist() == list(range(11))
    assert set(rich.expansion.tolist()) == {0, 1, 2} and set(rich.fusion.tolist()) == {0, 1}
    assert (rich.late > 0).any() and (rich.depth < WHOLE).any() and len(rich.alpha) <= 127


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([], "actions.x: 0 actions; allowed are 1 to 127; change its grids"),
        ([{"alpha": [n / 200 for n in range(128)]}], "actions.x: 128 actions; allowed are 1 to 127"),
        ([{"late": [0]}], "actions.x.0.alpha: field required"),
        (
            [{"alpha": [0]}, {"alpha": [1.5]}],
            "actions.x.1.alpha.0: given 1.5; input should be less than or equal to 1",
        ),
        ([{"alpha": []}], "actions.x.0.alpha: given []; list should have at least 1 item"),
        ([{"alpha": 0.5}], "actions.x.0.alpha: given 0.5; input should be a valid list"),
        (
            [{"alpha": [0], "beta": [1]}],
            "actions.x.0.beta: extra inputs are not permitted; allowed: alpha, expansion",
        ),
        ([{"alpha": [0], "expansion": ["rm4"]}], "actions.x.0.expansion.0: given 'rm4'; input should be 'none', "),
        ([{"alpha": [0], "depth": [0]}], "actions.x.0.depth.0"),
        ([{"alpha": [0], "depth": ["some"]}], "actions.x.0.depth.0"),
        (["alpha"], "actions.x.0: given 'alpha'; input should be a mapping of keys to lists"),
        ({"alpha": [0]}, "actions.x: given a mapping; allowed is a list of grids"),
    ],
)
def test_a_bad_set_is_refused_in_one_line(written: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read("x", written)
    message = str(caught.value)
    assert message.startswith(says) and "\n" not in message, message


def test_an_action_that_is_not_there_has_no_place() -> None:
    with pytest.raises(KeyError):
        columns(read("a", [{"alpha": [0.3]}]), read("b", [{"alpha": [0, 1]}]))
