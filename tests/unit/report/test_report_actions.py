from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from rag_lab.report import actions
from rag_lab.report.actions import RING, Step
from rag_lab.report.figures import Picture

LABELS = ["small·k2", "small·k5", "large·k2", "large·k5"]
TIERS = ["small", "small", "large", "large"]
OBJECTIVES = np.array([[0.05, 0.4, 0.2], [0.1, 0.5, 0.3], [0.8, 0.45, 0.2], [1.6, 0.7, 0.3]])
FRONT = np.array([True, True, False, True])
STEPS = [
    Step("cost", np.array([1.0, 0, 0, 0])),
    Step("cost and quality", np.array([0, 0.75, 0, 0.25])),
    Step("quality", np.array([0, 0, 0, 1.0])),
]


@pytest.fixture(scope="module")
def picture() -> Picture:
    return actions.scatter(LABELS, TIERS, OBJECTIVES, FRONT, STEPS, start=1)


def trace(picture: Picture, name: str) -> go.Scatter3d:
    (found,) = [one for one in picture.figure.data if one.name == name]
    return found


def test_every_action_is_drawn_once_where_it_lies(picture: Picture) -> None:
    drawn = {}
    for name in ("small", "large", "large, dominated"):
        one = trace(picture, name)
        drawn |= dict(zip(one.text, zip(one.x, one.y, one.z, strict=True), strict=True))
    assert drawn == {label: tuple(point) for label, point in zip(LABELS, OBJECTIVES.tolist(), strict=True)}
    assert trace(picture, "large, dominated").text == ("large·k2",)


def test_tiers_differ_in_shape_and_colour(picture: Picture) -> None:
    small, large = trace(picture, "small").marker, trace(picture, "large").marker
    assert small.symbol != large.symbol and small.color != large.color


def test_the_ideal_point_has_the_best_of_each(picture: Picture) -> None:
    ideal = trace(picture, "ideal point")
    assert (ideal.x[0], ideal.y[0], ideal.z[0]) == (0.05, 0.7, 0.3)


def test_rings_stand_at_the_choices_and_tell_their_share(picture: Picture) -> None:
    rings = trace(picture, "chosen")
    assert list(zip(rings.x, rings.y, strict=True)) == [(0.1, 0.5), (1.6, 0.7)]
    assert [text.rpartition(">")[2] for text in rings.text] == ["75% of queries", "25% of queries"]
    assert RING[0] < rings.marker.size[1] < rings.marker.size[0] < RING[1]


def test_the_slider_moves_the_rings_and_nothing_else(picture: Picture) -> None:
    (slider,) = picture.figure.layout.sliders
    assert slider.active == 1 and [step.label for step in slider.steps] == [step.label for step in STEPS]
    at = [one.name for one in picture.figure.data].index("chosen")
    for step, given in zip(slider.steps, STEPS, strict=True):
        change, (number,) = step.args
        assert step.method == "restyle" and number == at
        assert len(change["x"][0]) == (given.share > 0).sum() == len(change["marker.size"][0])
    assert slider.steps[2].args[0]["marker.size"] == [[RING[1]]]


def test_the_figure_goes_into_a_page(picture: Picture) -> None:
    assert json.loads(picture.figure.to_json())["layout"]["scene"]["xaxis"]["type"] == "log"
    narrow = go.Figure(picture.figure)
    narrow.update_layout({key.replace(".", "_"): value for key, value in picture.narrow.items()})
    assert narrow.layout.height < picture.figure.layout.height
    assert picture.caption.endswith(".")
