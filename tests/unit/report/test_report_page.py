from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from unit.report.example_curves import DOMAINS
from unit.report.example_run import summary, write_run

from rag_lab.report import page
from rag_lab.report.run import NDCG, RECALL, Run, load


class Reader(HTMLParser):
    """Gathers what a page loads, its identifiers, its headings, its rows and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.names: list[str] = []
        self.rows: list[list[str]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.loaded += [given[key] or "" for key in ("src", "srcset", "data", "poster") if key in given]
        self.loaded += [given["href"] or ""] if tag != "a" and "href" in given else []
        self.names += [given["id"] or ""] if "id" in given else []
        if tag not in ("meta", "link", "br", "wbr"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
            if "td" in self.open or ("th" in self.open and "tr" in self.open):
                self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def whole(example: Run) -> tuple[str, Reader]:
    """The example's page, and what a reader gathers from it."""
    return read(example)


def read(run: Run) -> tuple[str, Reader]:
    text = page.html(run)
    return text, Reader(text)


def test_one_file_is_written_that_loads_nothing(folder: Path) -> None:
    before = {path.name for path in folder.iterdir()}
    path = page.write(load(folder))
    assert path == folder / "report.html"
    assert {path.name for path in folder.iterdir()} == before | {"report.html"}
    text = path.read_text(encoding="utf-8")
    assert Reader(text).loaded == ["data:,"]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style
    assert text.count("<script>") == 2, "Plotly once, and the page's own"


def test_the_page_is_well_formed_and_its_links_lead_somewhere(whole: tuple[str, Reader]) -> None:
    text, reader = whole
    assert reader.open == []
    assert len(set(reader.names)) == len(reader.names)
    links = re.findall(r'<a href="#([^"]+)"', text)
    assert links == ["results", "differences", "learning", "targets", "data", "again"]
    assert set(links) <= set(reader.names)


def test_every_figure_has_its_place_and_its_data(whole: tuple[str, Reader]) -> None:
    text, reader = whole
    data = json.loads(re.findall(r'<script type="application/json" id="figures">(.*?)</script>', text)[0])
    assert len(data) == 9 and set(data) <= set(reader.names)
    for figure in data.values():
        assert figure["data"] and figure["narrow"]["height"] > 0 and "template" not in figure["layout"]


def test_the_table_of_variants_shows_the_summarys_numbers(whole: tuple[str, Reader]) -> None:
    _, reader = whole
    rows = {row[0]: row for row in reader.rows if len(row) == 8}
    for variant, metrics in summary()["variants"].items():
        names = [RECALL, *(f"{domain}/{RECALL}" for domain in DOMAINS), NDCG, "retrieval/mrr_at_10"]
        for cell, name in zip(rows[variant][1:7], names, strict=True):
            ends = f"{metrics[name + '_ci_low']:.3f}–{metrics[name + '_ci_high']:.3f}"
            assert cell == f"{metrics[name]:.3f}{ends}"
        assert rows[variant][7] == f"{metrics['cost/usd_per_1k_queries']:.4f}"


def test_comparisons_and_targets_show_the_summarys_numbers(whole: tuple[str, Reader]) -> None:
    _, reader = whole
    for row in summary()["comparisons"]:
        name = f"{row['treatment']} − {row['baseline']}"
        cells = next(
            cells
            for cells in reader.rows
            if cells[0] == name and cells[2] == row["domain"] and cells[1] in ("recall@10", "nDCG@10")
            and (cells[1] == "recall@10") == ("recall" in row["metric"])
            and cells[3] == f"{row['n']:,}"
        )  # fmt: skip
        written = 0.0 if cells[4] == "0.000" else float(cells[4].replace("−", "-"))
        assert written == round(row["difference"], 3)
    rows = {row[0]: row for row in reader.rows if len(row) == 7}
    for target in summary()["targets"]:
        assert rows[target["id"]][1] == target["verdict"]
        assert rows[target["id"]][6] == target["why"]
    assert rows["w2.recall"][5] == "0.034[0.012, 0.057]"
    assert rows["w1.gpu_util"][5] == "not measured"


def test_the_header_says_what_was_asked_found_and_run(whole: tuple[str, Reader]) -> None:
    text, _ = whole
    header = text[text.index("<header") : text.index("</header>")]
    for said in (
        "Does thompson beat static_domain_tuned on recall@10?",
        "thompson is better in no domain",
        "python -m rag_lab +experiment=week2 seed=0",
        "3fa9c17b60d24e88",
        "cpu (2 cores, x86_64)",
        "42 s",
        "1 met",
        "3 missed",
        "1 inconclusive",
        "3 not measured",
    ):
        assert said in header
    told = re.sub(r"\s+", " ", text)
    assert "One component of shared passages in finance holds 24% of its queries" in told


def test_a_missing_metric_reads_not_measured(tmp_path: Path) -> None:
    document = summary()
    for metric in (RECALL, f"finance/{RECALL}", NDCG, "retrieval/mrr_at_10", "cost/usd_per_1k_queries"):
        del document["variants"]["static_tuned"][metric]
    _, reader = read(load(write_run(tmp_path / "run", document)))
    row = next(row for row in reader.rows if row[0] == "static_tuned" and len(row) == 8)
    assert row[1] == row[3] == row[5] == row[6] == row[7] == "not measured"


def test_words_from_outside_stay_words(tmp_path: Path) -> None:
    trap = "</script><script>alert(1)</script><img src=http://example.org/x.png>"
    document = summary() | {"command": trap, "device": trap, "notes": [trap]}
    document["targets"][0]["why"] = document["targets"][0]["statement"] = trap
    document["comparisons"][3]["family"] = trap
    folder = write_run(tmp_path / "run", document)
    card = folder / "data_card.md"
    card.write_text(f"{trap}\n\n![picture](http://example.org/x.png)\n\n[source](https://example.org)\n")
    text, reader = read(load(folder))
    assert reader.loaded == ["data:,"] and reader.open == []
    assert "<script>alert" not in text
    assert "<table>" in text and '<a href="https://example.org">' in text


def test_the_data_card_is_rendered(whole: tuple[str, Reader]) -> None:
    text, reader = whole
    assert "<td>evals 3.0.1.post1</td>" in text and "<li>The finance documents are synthetic.</li>" in text
    assert "&lt;b&gt;Not&lt;/b&gt;" in text
    assert "packaged" in reader.text


@pytest.mark.parametrize("left_out", [("curves.json",), ("resolved.yaml", "data_card.md", "curves.json")])
def test_a_run_without_its_extras_still_has_a_page(folder: Path, left_out: tuple[str, ...]) -> None:
    for name in left_out:
        (folder / name).unlink()
    text, reader = read(load(folder))
    assert "results" in reader.names and "learning" not in reader.names
    assert reader.open == []
    assert "thompson is better in no domain" in text


def test_a_failed_run_has_a_page_that_says_why(tmp_path: Path) -> None:
    nothing: dict[str, Any] = {"variants": {}, "comparisons": [], "targets": [], "metrics": {}}
    document = summary() | nothing | {"status": "failed", "failure": "out of memory"}
    text, reader = read(load(write_run(tmp_path / "run", document, {})))
    assert "The run failed: out of memory." in text
    assert "<script" not in text, "nothing to draw, nothing to run"
    assert reader.open == []


def test_the_page_is_the_same_for_the_same_run(whole: tuple[str, Reader], example: Run) -> None:
    assert whole[0] == page.html(load(example.folder))
