"""What runs of the live pipeline show, from curves worked out by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from unit.report.example_run import summary, write_run

from rag_lab.report import markdown, page, sheet, speed, speed_figures, terminal, wording
from rag_lab.report.run import Run, load
from rag_lab.report.sheet import Sheet

STAGES = list(speed_figures.STAGES)
QUALITY: dict[str, Any] = {
    "queries": 30, "accuracy": [0.9, 0.8, 1.0], "macro_f1": [0.85, 0.75, 0.95], "answered": 0.9,
    "right_when_answered": 0.95, "abstain_precision": None, "abstain_recall": 0.25, "calibration_error": 0.031,
    "confusion": [[9, 1, 0], [0, 18, 2]],
}  # fmt: skip
LEVEL = {
    "noise": 0.3, "without": [20.0, 18.0, 22.0], "filtered": [12.0, 11.0, 13.0], "saved": [8.0, 7.0, 9.0],
    "precision": 0.8, "recall": 0.9, "f1": 0.85, "noise_share": 0.21, "noise_weight": 0.02,
}  # fmt: skip
CURVES: dict[str, Any] = {
    "treatment": "optimised",
    "headline": "Batches detect twice as many queries a second.",
    "profile": {
        "stages": STAGES,
        "answers": {"baseline": 600, "optimised": 600},
        "variants": {
            name: {
                stage: {
                    share: [place * scale, 0.9 * place * scale, 1.2 * place * scale]
                    for share, scale in (("p50", size), ("p95", 3 * size), ("p99", 5 * size))
                }
                for place, stage in enumerate(STAGES, 1)
            }
            for name, size in (("baseline", 0.04), ("optimised", 7.0))
        },
    },
    "detectors": {
        "domains": ["law", "medicine"],
        "chosen": "batched",
        "asked_precision": 0.95,
        "variants": {
            "batched": {"quality": {"easy": QUALITY, "hard": QUALITY}, "silent": {"easy": QUALITY}},
            "keyword": {"quality": {"easy": QUALITY}, "silent": {}},
        },
        "skipped": {},
    },
    "batching": {
        "queries_per_s": {"1": [150.0, 140.0, 160.0], "10": [300.0, 290.0, 320.0]},
        "speedup": {"10": [2.0, 1.9, 2.1]},
        "best": 10,
    },
    "filters": {
        "chosen": "jax",
        "latency_ms": {
            "100": {name: {share: [0.2, 0.19, 0.25] for share in ("p50", "p95")} for name in ("scalar", "jax")}
        },
        "pool": {"1000": {"0": 2e6, "1": 5e4, "8": 3e4}},
    },
    "effect": {
        "filter": "jax", "seeds": 200, "queries_per_domain": 300,
        "levels": [LEVEL | {"noise": 0.0, "precision": None}, LEVEL],
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run without recall, as the live experiments are."""
    empty = {"variants": {"baseline": {"warm_up_s": 1.0}, "optimised": {"warm_up_s": 1.0}}, "comparisons": []}
    folder = tmp_path_factory.mktemp("speed") / "run"
    return load(write_run(folder, summary() | empty, CURVES))


def shown(run: Run) -> str:
    text = io.StringIO()
    terminal.show(run, Console(file=text, width=100))
    return text.getvalue()


def test_a_run_of_replays_has_none_of_it(example: Run) -> None:
    assert speed.sections(example) == []


def test_every_curve_has_its_section(live: Run) -> None:
    assert [(one.name, one.title, len(one.parts)) for one in speed.sections(live)] == [
        ("latency", "Latency", 2), ("detection", "Detection", 4), ("filter", "Feedback filter", 4),
    ]  # fmt: skip


def sheets(live: Run) -> dict[str, Sheet]:
    return {one.title: one for section in speed.sections(live) for one in section.sheets}


def test_the_latency_table_names_a_stage_once_and_every_pipeline_below_it(live: Run) -> None:
    rows = sheets(live)["Where an answer's time goes"].rows
    assert [row[0] for row in rows] == [cell for words in speed_figures.STAGES.values() for cell in (words, "")]
    assert rows[0] == ["l2 embed, detect", "baseline", "0.040 [0.036, 0.048]", "0.120 [0.108, 0.144]",
                       "0.200 [0.180, 0.240]"]  # fmt: skip
    assert rows[-1][1:] == ["optimised", "42.0 [37.8, 50.4]", "126 [113, 151]", "210 [189, 252]"]


def test_the_detectors_table_leaves_empty_what_cannot_hold_back(live: Run) -> None:
    table = sheets(live)["Detectors"]
    assert table.rows[0] == ["▸ batched", "easy", "0.900 [0.800, 1.000]", "0.850 [0.750, 0.950]", "0.031", "10%",
                             "none", "0.25"]  # fmt: skip
    assert table.rows[1][5:] == table.rows[2][5:] == ["", "", ""]
    assert "Easy: all 30 test queries. Hard: 30 questions" in table.note and "95% of its answers" in table.note


def test_the_confusion_is_of_the_chosen_detector_with_silence_where_there_is_any(live: Run) -> None:
    table = sheets(live)["What batched takes for what"]
    assert table.heads[:4] == ["true domain", "easy\nlaw", "easy\nmedicine", "easy\nsilent"]
    assert table.rows[1] == ["medicine", "0", "18", "2", "0", "18", "2"]
    assert table.shade is not None and table.shade[0][:3] == [0.9, 0.1, 0]


def test_the_filters_tables(live: Run) -> None:
    found = sheets(live)
    assert found["How soon feedback is judged"].rows[1] == [
        "▸ jax",
        "0.200 [0.190, 0.250]",
        "0.200 [0.190, 0.250]",
    ]
    assert found["Items judged in a second"].rows == [["1,000", "2,000,000", "50,000", "30,000"]]
    effect = found["What the filter saves a bandit"]
    assert [row[0] for row in effect.rows] == ["0%", "30%"] and effect.rows[0][4] == "none"
    assert effect.rows[1][1:4] == ["20.0 [18.0, 22.0]", "12.0 [11.0, 13.0]", "8.00 [7.00, 9.00]"]
    assert found["Throughput in batches"].rows == [
        ["one at a time", "150 [140, 160]", ""],
        ["10", "300 [290, 320]", "2.00 [1.90, 2.10]"],
    ]


def test_the_profile_is_on_a_logarithmic_axis_that_says_so_and_holds_every_interval(live: Run) -> None:
    picture = speed_figures.profile(live)
    axis = picture.figure.layout.xaxis
    assert axis.type == "log" and "logarithmic" in axis.title.text and "logarithmic" in picture.caption
    assert (axis.range[0], axis.range[1]) == (-2, 3)  # from 0.036 to 252 ms, whole powers of ten
    assert list(axis.ticktext) == ["0.01", "0.1", "1", "10", "100", "1000"]
    assert {trace.name for trace in picture.figure.data} == {
        f"{name}, {share}" for name in ("baseline", "optimised") for share in ("p50", "p95", "p99")
    }
    first = picture.figure.data[0]
    assert list(first.error_x.array)[:1] == pytest.approx([0.008]) and first.x[0] == 0.04


def test_axes_of_amounts_start_at_zero(live: Run) -> None:
    for picture in (speed_figures.batching(live), speed_figures.effect(live)):
        assert picture.figure.layout.yaxis.rangemode == "tozero"


def test_the_page_has_every_section_and_no_results_without_recall(live: Run) -> None:
    text = page.html(live)
    for name in ("latency", "detection", "filter"):
        assert f'<section id="{name}">' in text and f'<a href="#{name}">' in text
    assert 'id="results"' not in text and "Batches detect twice as many" in text
    data = json.loads(text.split('id="figures">')[1].split("</script>")[0])
    assert set(data) == {"profile", "batching", "effect"}


def test_the_terminal_shows_all_of_it_within_its_width(live: Run) -> None:
    text = shown(live)
    assert all(title in text for title in sheets(live))
    assert "0.040 [0.036, 0.048]" in text and "variant, on the" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_markdown_tells_the_same(live: Run, tmp_path: Path) -> None:
    text = markdown.report("week1", [("packaged", live)], picture=False)
    assert "### Where an answer's time goes" in text and "### Variants" not in text
    assert "| easy law | easy medicine |" in text
    assert wording.verdict(live) in text


def test_words_of_a_sheet_stay_words() -> None:
    trap = Sheet("<b>", "<i>", ["<u>\nx", "y"], [["<s>", "1 [0, <p>]"]], shade=[[1.0]])
    text = sheet.html(trap)
    for tag in ("<b>", "<i>", "<u>", "<s>", "<p>]"):
        assert tag not in text
    assert "&lt;u&gt;<br>x" in text and "<small>[0, &lt;p&gt;]</small>" in text and "45%" in text
