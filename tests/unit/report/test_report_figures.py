from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from unit.report.example_curves import ALPHAS, DOMAINS, curves
from unit.report.example_run import summary, write_run

from rag_lab.report import arms, figures, learning
from rag_lab.report.figures import Picture
from rag_lab.report.run import NDCG, PRIMARY, RECALL, Run, load
from rag_lab.report.style import fold, styles


def every(run: Run) -> list[Picture]:
    families = [
        figures.differences(run, family, metric)
        for family in run.families
        for metric in figures.metrics_of(run.family(family))
    ]
    curved = [arms.by_alpha(run), learning.regret(run), learning.convergence(run), *arms.posterior(run)]
    found = [figures.estimates(run, RECALL), figures.estimates(run, NDCG), *families, *curved]
    return [picture for picture in found if picture is not None]


@pytest.fixture(scope="module")
def pictures(example: Run) -> list[Picture]:
    """Every figure of the example; no test changes them."""
    return every(example)


def axes(figure: go.Figure, letter: str) -> list[Any]:
    return [axis for key, axis in figure.layout.to_plotly_json().items() if key.startswith(f"{letter}axis")]


def traces(picture: Picture, name: str) -> list[Any]:
    return [trace for trace in picture.figure.data if trace.name == name]


def test_a_whole_run_has_every_figure_each_with_its_own_name_and_caption(pictures: list[Picture]) -> None:
    assert len({picture.name for picture in pictures}) == len(pictures) == 9
    for picture in pictures:
        assert picture.caption.endswith(".") and picture.title
        assert picture.figure.data


def test_every_panel_names_what_it_shows_and_panels_do_not_overlap(pictures: list[Picture]) -> None:
    for picture in pictures:
        rows = {tuple(axis["domain"]) for axis in axes(picture.figure, "y")}
        lowest = min(rows)
        below = [
            axis["title"]["text"]
            for axis, other in zip(axes(picture.figure, "x"), axes(picture.figure, "y"), strict=True)
            if tuple(other["domain"]) == lowest
        ]
        assert all(below), picture.name
        assert all(upper[0] > lower[1] for lower, upper in pairwise(sorted(rows))), picture.name


def test_the_narrow_changes_are_valid_and_put_panels_below_each_other(pictures: list[Picture]) -> None:
    for picture in pictures:
        narrow = go.Figure(picture.figure)
        narrow.update_layout({key.replace(".", "_"): value for key, value in picture.narrow.items()})
        assert all(tuple(axis["domain"]) == (0, 1) for axis in axes(narrow, "x"))
        rows = sorted(tuple(axis["domain"]) for axis in axes(narrow, "y"))
        assert all(upper[0] > lower[1] for lower, upper in pairwise(rows))
        assert narrow.layout.height >= picture.figure.layout.height


def test_marks_stand_at_the_estimates_with_their_intervals(example: Run) -> None:
    picture = figures.estimates(example, RECALL)
    assert picture is not None
    metrics = summary()["variants"]["static_tuned"]
    at = example.order.index("static_tuned")
    marks = [trace for trace in picture.figure.data if trace.y == (at,)]
    for trace, place in zip(marks, ("", *(f"{domain}/" for domain in DOMAINS)), strict=True):
        name = f"{place}{RECALL}"
        assert trace.x == (metrics[name],)
        assert trace.x[0] + trace.error_x.array[0] == pytest.approx(metrics[f"{name}_ci_high"])
        assert trace.x[0] - trace.error_x.arrayminus[0] == pytest.approx(metrics[f"{name}_ci_low"])


def test_a_metric_that_was_not_measured_has_no_mark(tmp_path: Path) -> None:
    document = summary()
    del document["variants"]["static_tuned"][f"finance/{RECALL}"]
    run = load(write_run(tmp_path / "run", document))
    picture = figures.estimates(run, RECALL)
    assert picture is not None
    at = run.order.index("static_tuned")
    assert [trace.xaxis for trace in picture.figure.data if trace.y == (at,)] == ["x", "x2", "x4"]


def test_a_variant_keeps_its_colour_in_every_figure(example: Run) -> None:
    look = styles(example)
    curved = [arms.by_alpha(example), learning.regret(example), learning.convergence(example)]
    lines = [trace for picture in curved if picture for trace in picture.figure.data if trace.name in look]
    assert {trace.name for trace in lines} >= {"thompson", "static", "static_tuned", "full_information"}
    assert all(trace.line.color == look[trace.name].colour for trace in lines)
    plain = ["thompson", "static", "static_domain", "static_tuned", "static_domain_tuned", "bm25", "dense"]
    assert len({look[name].colour for name in plain}) == len({look[name].symbol for name in plain}) == len(plain)
    assert look["oracle_query"] == look["oracle_domain"]
    twin = look["static_tuned_pulls"]
    assert (twin.colour, twin.symbol) == (look["static_tuned"].colour, look["static_tuned"].symbol + "-open")


def test_differences_far_out_are_written_at_the_edge_and_near_ones_are_drawn_whole(example: Run) -> None:
    picture = figures.differences(example, "recall@10 against every reference", RECALL)
    assert picture is not None
    low, high = picture.figure.layout.xaxis.range
    rows = example.family("recall@10 against every reference")
    far = {f"{row['difference']:+.3f}".replace("-", "−") for row in rows if not low < row["difference"] < high}
    assert far and {trace.text[0].strip() for trace in picture.figure.data if trace.text} == far
    assert "arrow at the edge" in picture.caption
    near = [row for row in rows if low < row["difference"] < high]
    assert low < min(row["ci_low"] for row in near) and high > max(row["ci_high"] for row in near)
    assert len(near) + len(far) == len(rows) == len(picture.figure.data)


def test_a_filled_mark_means_significant(example: Run) -> None:
    document = copy.deepcopy(dict(example.summary))
    rows = [row for row in document["comparisons"] if row["family"] == PRIMARY]
    for row, p_value in zip(rows, (0.01, 0.05, 0.9), strict=True):
        row["p_adjusted"] = p_value
    picture = figures.differences(replace(example, summary=document), PRIMARY, RECALL)
    assert picture is not None
    assert [trace.marker.symbol for trace in picture.figure.data] == ["circle", "circle-open", "circle-open"]


def test_upright_lines_stand_at_the_chosen_alpha_side_by_side_where_they_agree(example: Run) -> None:
    picture = arms.by_alpha(example)
    assert picture is not None
    in_healthcare = {name: traces(picture, name)[0].x[0] for name in ("static", "thompson", "static_domain_tuned")}
    assert in_healthcare["static"] == 0.5
    apart = (in_healthcare["static_domain_tuned"], in_healthcare["thompson"])
    assert sum(apart) / 2 == pytest.approx(0.4) and 0.01 < abs(apart[1] - apart[0]) < 0.1
    test = traces(picture, "test, 95% band")[0]
    assert list(test.x) == ALPHAS
    assert list(test.y) == curves()["recall_by_alpha"]["healthcare"]["test"]["recall_at_10"]


def test_captions_tell_seeds_and_what_curves_end_at(pictures: list[Picture]) -> None:
    told = {picture.name: picture.caption for picture in pictures}
    assert "1,000 seeds" in told["regret"] and "10th to 90th percentile" in told["regret"]
    assert f"thompson {curves()['regret']['variants']['thompson']['mean'][-1]:.1f}" in told["regret"]
    share = curves()["convergence"]["variants"]["thompson"]["mean"][10]
    assert f"thompson {share:.0%}" in told["convergence"] and "99%" in told["convergence"]
    assert "10,000 bootstrap resamples" in told["recall"]
    assert "standard deviation 0.25" in told["posterior-thompson"]


def test_a_setting_that_loses_much_more_does_not_flatten_the_learners(example: Run) -> None:
    lines = curves()
    steps = lines["regret"]["step"]
    lines["regret"]["variants"]["bm25"] = {"mean": [step / 3 for step in steps], "low": None, "high": None}
    picture = learning.regret(replace(example, curves=lines))
    assert picture is not None
    learners = max(max(lines["regret"]["variants"][name]["high"]) for name in ("thompson", "thompson_flat_prior"))
    assert learners < picture.figure.layout.yaxis.range[1] < steps[-1] / 3
    assert "bm25 166.7" in picture.caption and "leave the panel" in picture.caption


def test_the_slider_puts_a_step_s_beliefs_and_pulls_in_their_traces(pictures: list[Picture]) -> None:
    (picture,) = (one for one in pictures if one.name == "posterior-thompson")
    told, (slider,) = curves()["posterior"], picture.figure.layout.sliders
    assert [step.label for step in slider.steps] == ["20", "500"] and slider.active == 1
    for at, step in enumerate(slider.steps):
        changes, places = step.args
        for number, domain in enumerate(told["variants"]["thompson"]):
            arms = told["variants"]["thompson"][domain]
            belief, pulls = (picture.figure.data[place] for place in places[2 * number : 2 * number + 2])
            assert belief.type == "scatter" and pulls.type == "bar"
            assert list(changes["y"][2 * number]) == arms["mean"][at]
            assert list(changes["y"][2 * number + 1]) == arms["pull_share"][at]
            assert list(changes["error_y.array"][2 * number]) == arms["sd"][at]
            if at == slider.active:  # as drawn at first
                assert list(belief.y) == arms["mean"][at] and list(pulls.y) == arms["pull_share"][at]
                assert list(belief.error_y.array) == arms["sd"][at]


def test_a_first_look_shows_what_two_eyes_can_follow(example: Run) -> None:
    """The one under test, fixed settings and the four best others; twins by the true domain are left out."""
    lines, played = curves(), curves()["regret"]["variants"]
    worse = {end: [2.0 * value for value in played["thompson"][end]] for end in ("mean", "low", "high")}
    added = [f"learner_{number}" for number in range(learning.FEW)]
    lines["regret"]["variants"] |= dict.fromkeys(added, worse) | {"learner_0_true_domain": played["thompson"]}
    found = learning.first_look(replace(example, curves=lines)).curves
    shown = found["regret"]["variants"]
    fixed = {"static", "static_domain", "static_tuned", "static_domain_tuned"}
    assert {"thompson", *fixed} <= shown.keys() and "learner_0_true_domain" not in shown
    assert len(shown.keys() - {"thompson", *fixed}) <= learning.FEW and len(shown) < len(lines["regret"]["variants"])
    assert "full_information" in found["convergence"]["variants"]
    assert learning.first_look(example).curves["recall_by_alpha"] == example.curves["recall_by_alpha"]


def test_twenty_learners_have_a_style_each(example: Run) -> None:
    lines = curves()
    played = lines["regret"]["variants"]
    played |= dict.fromkeys([f"learner_{number}" for number in range(20)], played["thompson"])
    look = styles(replace(example, curves=lines))
    assert len({look[f"learner_{number}"] for number in range(20)}) == 20


def test_what_decides_is_drawn_to_scale_however_far_out(example: Run) -> None:
    """Two domains without any difference and one with a large interval, as a run of week 2 had it."""
    rows = [dict(row) for row in example.family("primary")]
    for row in rows[:-1]:
        row.update(difference=0.0, ci_low=0.0, ci_high=0.0)
    rows[-1].update(difference=-0.013, ci_low=-0.034, ci_high=0.0)
    picture = figures.differences(
        replace(example, summary={**example.summary, "comparisons": rows}), "primary", rows[0]["metric"]
    )
    assert picture is not None and "arrow" not in picture.caption
    assert all(axis["range"][0] < -0.034 for axis in axes(picture.figure, "x"))


def test_who_is_better_than_the_best_alpha_stays_in_the_panel(example: Run) -> None:
    """A richer action set can be: its regret is below zero."""
    lines = curves()
    lines["regret"]["variants"]["richer"] = {
        end: [share * step / 100 for step in lines["regret"]["step"]]
        for end, share in (("low", -2.0), ("mean", -1.5), ("high", -1.0))
    }
    picture = learning.regret(replace(example, curves=lines))
    assert picture is not None
    least = -2.0 * lines["regret"]["step"][-1] / 100
    assert picture.figure.layout.yaxis.range[0] < least and "Below zero" in picture.caption
    plain = learning.regret(example)
    assert plain is not None and plain.figure.layout.yaxis.range[0] == 0 and "Below zero" not in plain.caption


@pytest.mark.parametrize("part", ["regret", "posterior", "convergence", "recall_by_alpha"])
def test_a_missing_curve_leaves_its_figure_out_and_no_other(example: Run, pictures: list[Picture], part: str) -> None:
    lines = curves()
    del lines[part]
    assert len(every(replace(example, curves=lines))) == len(pictures) - 1


def test_where_nothing_learns_there_is_nothing_to_show(example: Run) -> None:
    lines = curves()
    fixed = {"mean": [0.0, 1.0], "low": [0.0, 1.0], "high": [0.0, 1.0]}
    lines["regret"]["variants"] = {"static": fixed}
    lines["convergence"]["variants"] = {}
    run = replace(example, curves=lines)
    assert learning.regret(run) is None and learning.convergence(run) is None


@pytest.mark.parametrize("count", range(1, 13))
def test_rows_of_panels_are_even_and_whole(count: int) -> None:
    rows = figures.in_rows(count)
    assert [index for row in rows for index in row] == list(range(count))
    assert max(map(len, rows)) <= figures.ACROSS
    assert len(rows) == -(-count // figures.ACROSS)


def test_long_names_are_cut_near_their_middle_at_an_underscore() -> None:
    assert fold("static_domain_tuned_true_domain") == "static_domain_<br>tuned_true_domain"
    assert fold("thompson") == "thompson"
    assert fold("averylongnamewithoutanyseam") == "averylongnamewithoutanyseam"
