"""Answers on real text, from the packaged data to their grades: a cut of it, with the real encoder.

The check of support is held here to the bar of the whole measurement (reports/groundedness/packaged.json), on few
questions; what that report says is held against the configuration that was copied from it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from doubles import Bars

from rag_lab import answer_bake, wiring
from rag_lab.encoder.reading import BATCH_TOKENS, MAX_TOKENS, open_shelf
from rag_lab.encoder.shelf import Shelf
from rag_lab.experiment import grounds
from rag_lab.experiment.grounds import KINDS
from rag_lab.l1_retrieval.index import Index
from rag_lab.l3_answer.generator import Tools
from rag_lab.metrics.answer import Quality, means
from rag_lab.metrics.clustered import Draws, area
from rag_lab.metrics.support import probabilities
from rag_lab.types import Collection

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports" / "groundedness" / "packaged.json"
SHOWN = (1, 3, 10)  # passages of the three actions


def node(group: str, name: str, **changes: Any) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "conf" / group / f"{name}.yaml").read_text(encoding="utf-8"))
    content.pop("defaults", None)
    return content | changes


class Setting(NamedTuple):
    """One domain of real text with its shelf, and what three actions show for every query."""

    collection: Collection
    shelf: Shelf
    quality: Quality
    vectors: np.ndarray
    evidence: list[list[answer_bake.Evidence]]


@pytest.fixture(scope="module")
def setting() -> Setting:
    load = wiring.build(node("data", "packaged", max_queries=150, max_passages=450), "data")
    collection = load(0, Bars()).collections[0]
    encoder = wiring.build(node("encoder", "minilm"), "encoder")
    retriever = wiring.build(node("retriever", "hybrid"), "retriever")
    vectors, queries = encoder.passages(collection, Bars()), encoder.queries(collection, Bars())
    texts = [query.text for query in collection.queries]
    ranked = Index(retriever, collection, vectors).search(texts, queries, np.full(len(texts), 0.5), max(SHOWN)).passage
    evidence = [
        [tuple(collection.passages[place] for place in row[:count] if place >= 0) for count in SHOWN] for row in ranked
    ]
    quality = wiring.build(node("quality", "frozen"), "quality")
    return Setting(collection, open_shelf(encoder, Bars()), quality, vectors, evidence)


def scored(setting: Setting, generator: str, folder: Path) -> answer_bake.Scored:
    built = wiring.build(node("generator", generator), "generator").open(Tools(setting.shelf, Bars()))
    desk = answer_bake.Desk(built, setting.quality, setting.shelf, generator, setting.vectors)
    return answer_bake.score(setting.collection, setting.collection.queries, setting.evidence, desk, folder, Bars())


def test_answers_are_grounded_cited_and_cover_more_than_the_lead(setting: Setting, tmp_path: Path) -> None:
    """Word for word from the evidence: grounded by construction, so what counts is what they cover."""
    found, lead = scored(setting, "extractive", tmp_path), scored(setting, "lead", tmp_path)
    answered = found.refused == 0
    assert 0.5 < answered.mean() <= 1
    for part in (found.groundedness, found.citation_recall, found.citation_precision):
        assert (part[answered] == 1).all() and np.isnan(part[~answered]).all()
    covered = np.nanmean(found.coverage, axis=0)
    assert covered[2] > np.nanmean(lead.coverage) + 0.05
    print(f"coverage beside {SHOWN} passages: {covered.round(3)}, lead {np.nanmean(lead.coverage):.3f}")


def test_more_passages_cost_more_and_offer_more(setting: Setting, tmp_path: Path) -> None:
    found = scored(setting, "extractive", tmp_path)
    assert (np.diff(found.tokens_in, axis=1) >= 0).all()
    assert (found.diversity[:, 0] == 0).all() and (found.diversity[:, 2] > 0).all()
    assert np.isfinite(found.confidence).all() and (np.diff(found.confidence, axis=1) > -0.2).all()
    summary = means(answer_bake.grades(found))
    assert summary["answer/n_scored"] == (found.refused == 0).sum()


@pytest.mark.parametrize("encoder", ["minilm", "vectors"])
def test_a_shelf_opens_whatever_encodes_the_queries(encoder: str) -> None:
    changes = {"domains": {}} if encoder == "vectors" else {}
    shelf = open_shelf(wiring.build(node("encoder", encoder, **changes), "encoder"), Bars())
    [row] = shelf.rows(["Sleep stores memories."])
    assert shelf.take(np.array([row])).vector.shape == (1, 384) and shelf.tokens[row] == 4
    assert node("encoder", "minilm")["max_tokens"] == MAX_TOKENS
    assert node("encoder", "minilm")["batch_tokens"] == BATCH_TOKENS


def test_right_evidence_is_told_from_wrong(setting: Setting) -> None:
    """The bar of targets.md, on a cut: an area of at least 0.95."""
    found = grounds.collect(setting.collection, setting.shelf, 8, 100, np.random.default_rng(0))
    likely = probabilities(setting.quality.support, found.signs)
    right = found.kind == KINDS.index("right")
    for kind, bar in (("wrong", 0.95), ("near", 0.8)):
        false = found.kind == KINDS.index(kind)
        measured = area(likely[right], likely[false], found.query[right], found.query[false], Draws(200, 0))
        print(kind, measured)
        assert measured is not None and measured.value >= bar


def test_the_configuration_holds_what_was_calibrated() -> None:
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    assert node("quality", "frozen")["support"] == report["calibrated"]["support"]
    assert node("generator", "extractive")["refusal"] == report["calibrated"]["refusal"]


@pytest.mark.parametrize("name", sorted(path.stem for path in REPORT.parent.glob("*.json")))
def test_the_reports_are_what_the_frozen_heads_measured(name: str) -> None:
    report = json.loads((REPORT.parent / f"{name}.json").read_text(encoding="utf-8"))
    assert report["support"]["head"] == node("quality", "frozen")["support"]
    assert report["refusal"]["head"] == node("generator", "extractive")["refusal"]
    for row in (*report["support"]["areas"], *report["support"]["supported"], *report["refusal"]["scores"]):
        assert row["value"] is None or 0 <= row["low"] <= row["value"] <= row["high"] <= 1


def test_the_packaged_report_meets_the_bar() -> None:
    rows = json.loads(REPORT.read_text(encoding="utf-8"))["support"]["areas"]
    [found] = [row for row in rows if (row["domain"], row["level"], row["kind"]) == ("all", "answer", "wrong")]
    assert found["low"] >= 0.95
