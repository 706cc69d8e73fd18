"""From Hydra's marks to Optuna's distributions, and from what Optuna chose back to overrides."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as some
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from rag_lab.errors import ConfigError
from rag_lab.sweep import space


def of(*arguments: str, **params: Any) -> space.Space:
    return space.read(params, arguments, None)


@pytest.mark.parametrize(
    ("mark", "means"),
    [
        ("interval(0.1,50)", FloatDistribution(0.1, 50)),
        ("interval(1,5)", FloatDistribution(1, 5)),
        ("tag(log,interval(0.1,50))", FloatDistribution(0.1, 50, log=True)),
        ("int(interval(1,8))", IntDistribution(1, 8)),
        ("int(tag(log,interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("tag(log,int(interval(1,100)))", IntDistribution(1, 100, log=True)),
        ("range(1,9,2)", IntDistribution(1, 7, step=2)),
        ("range(5)", IntDistribution(0, 4)),
        ("range(9,1,-4)", IntDistribution(5, 9, step=4)),
        ("tag(log,range(1,9))", IntDistribution(1, 8, log=True)),
        ("range(0,1,0.1)", FloatDistribution(0, 0.9, step=0.1)),
        ("range(0.5,2.5,0.5)", FloatDistribution(0.5, 2, step=0.5)),
        ("choice(a,b)", CategoricalDistribution(["a", "b"])),
        ("a,b,a", CategoricalDistribution(["a", "b"])),
        ("choice(1,2.5,true)", CategoricalDistribution(["1", "2.5", "True"])),
        ("sort(choice(3,1,2))", CategoricalDistribution(["1", "2", "3"])),
        ("shuffle(choice(3,1,2))", CategoricalDistribution(["3", "1", "2"])),
        ("choice([a,b],[c])", CategoricalDistribution(["[a,b]", "[c]"])),
    ],
)
def test_a_mark_means_a_distribution(mark: str, means: object) -> None:
    assert of(f"policy.x={mark}").distributions == {"policy.x": means}
    assert of(**{"policy.x": mark}).distributions == {"policy.x": means}


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("interval(5,1)", r"x=interval\(5,1\): low <= high must hold, but got .*"),
        ("tag(log,interval(0,50))", "low > 0 must hold for log=True, but got"),
        ("tag(log,range(1,9,2))", "on a log scale a range is of integers, with step 1"),
        ("tag(log,range(1,2,0.5))", "on a log scale a range is of integers, with step 1"),
        ("tag(log,choice(1,2))", "a choice cannot be on a log scale"),
        ("tag(lgo,interval(1,2))", "tag 'lgo' is not known; allowed: log"),
        ("range(3,3)", "holds no value"),
    ],
)
def test_a_mark_that_makes_no_sense_is_refused(mark: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        of(f"x={mark}")
    assert "\n" not in str(raised.value)


def test_what_is_not_marked_stays_as_it_was_given() -> None:
    given = ["+experiment=week2", "data.domains.law=/a b/c", "references=[bm25,dense]", "~cache", "++x.y={a:1}"]
    found = of(*given, "policy.x=interval(0,1)")
    parser = OverridesParser.create()
    assert [one.value() for one in parser.parse_overrides(list(found.fixed))] == [
        one.value() for one in parser.parse_overrides(given)
    ]
    assert [one.partition("=")[0] for one in found.fixed] == [one.partition("=")[0] for one in given]


def test_the_command_line_wins_over_a_space_from_a_file() -> None:
    params = {"policy.x": "interval(0,1)", "policy.y": "choice(1,2)", "seed": 3}
    found = space.read(params, ["policy.x=interval(0,9)", "policy.y=7"], None)
    assert found.distributions == {"policy.x": FloatDistribution(0, 9)}
    assert found.fixed == ("policy.y=7", "seed=3")


def test_a_new_key_keeps_its_plus_in_overrides_and_loses_it_in_names() -> None:
    found = of("+policy.x=interval(0,1)")
    assert found.chosen({"policy.x": 0.5}) == ["+policy.x=0.5"]


def test_nothing_to_search_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nothing to search; mark a value, .*\+search/space=thompson"):
        of("+experiment=week2", "seed=1")


@pytest.mark.parametrize("mark", ["interval(0.5,2)", "int(interval(3,8))", "range(2,9)", "choice(c,d)"])
def test_some_parameters_lie_in_the_space(mark: str) -> None:
    found = of(f"x={mark}")
    value = found.first()["x"]
    (distribution,) = found.distributions.values()
    assert distribution._contains(distribution.to_internal_repr(value))


@given(some.floats(min_value=-1e12, max_value=1e12, allow_nan=False))
def test_hydra_reads_back_the_very_number(value: float) -> None:
    low = min(value, 0.0)
    found = of(f"x=interval({low!r},{max(value, 0.0)!r})")
    (text,) = found.chosen({"x": value})
    (read,) = OverridesParser.create().parse_overrides([text])
    assert read.value() == value


@given(some.integers(0, 10))
def test_a_value_on_a_grid_has_no_noise(step: int) -> None:
    (text,) = of("alpha=range(0,1.05,0.1)").chosen({"alpha": 0.1 * step})
    assert text == f"alpha={step / 10}"


def test_choices_come_back_as_they_were_written() -> None:
    found = of("x=choice('a b',[1,2],{k:v},null_)")
    parser = OverridesParser.create()
    (distribution,) = found.distributions.values()
    read = [parser.parse_overrides(found.chosen({"x": one}))[0].value() for one in distribution.choices]  # type: ignore[attr-defined]
    assert read == ["a b", [1, 2], {"k": "v"}, "null_"]


def test_what_lasts_names_the_groups_whose_settings_are_searched() -> None:
    """policy.x means nothing to a run of another policy."""
    found = space.read({"policy": "thompson", "policy.x": "interval(0,1)"}, ["+experiment=week2", "seed=1"], None)
    assert found.lasting({"policy.x": 0.5}) == ["policy=thompson", "policy.x=0.5"]
    other = space.read({"policy": "thompson", "policy.x": "interval(0,1)"}, ["policy=contextual"], None)
    assert other.lasting({"policy.x": 0.5}) == ["policy=contextual", "policy.x=0.5"]
