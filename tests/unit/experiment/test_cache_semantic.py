"""Near questions by hand, held-out pairs, and the semantic layer in the live pipeline of a data set that allows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from doubles import Bars
from live import COLLECTIONS, encoder, setting, stages, vectors
from servers import LAYERING

from rag_lab.cache import memory
from rag_lab.cache.layering import Cache
from rag_lab.cache.promise import Met, Semantic
from rag_lab.cache.recall import Names, Recall
from rag_lab.experiment.cache_semantic import Asked, curve, held_out, meet, run, served, terms, together
from rag_lab.pipeline import Computed, Pipeline
from rag_lab.types import Dataset, Query

SETTINGS = Semantic(True, (0.5, 0.9), 0.5, 0.1, 0.95, 64)
ANGLES = np.radians([0, 10, 90, 95])  # two pairs: cosines 0.985 and 0.996
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def test_the_nearest_other_question_by_hand() -> None:
    one = Asked(["cure fever", "cure fever now", "buy bonds", "buy bonds 2"], VECTORS, [*map(frozenset, "aabc")])
    found = meet(one, 0.5)
    assert found.cosine == pytest.approx(np.cos(np.radians([10, 10, 5, 5])), abs=1e-6)
    assert found.passes.tolist() == [True, True, False, False] == found.right.tolist() == one.twins.tolist()


def test_the_curve_is_calibrated_on_train_alone() -> None:
    train = Met(np.repeat([0.95, 0.6], 100), np.ones(200, bool), np.repeat([True, False], 100))
    found = curve({"train": train, "test": train._replace(right=~train.right)}, SETTINGS)
    assert found["threshold"] == 0.9
    assert [row["false"] for row in found["splits"]["test"]] == [100, 100]
    assert [row["hits"] for row in found["splits"]["train"]] == [200, 100]
    assert len(together([train, train]).cosine) == 400


def test_the_rate_of_false_hits_is_of_all_asked_and_cosine_alone_beside_it() -> None:
    met = Met(np.array([0.95, 0.95, 0.6, 0.2]), np.array([1, 0, 1, 1], bool), np.zeros(4, bool))
    found = served("negation", (False, met), SETTINGS)
    assert [(row["hits"], row["false"], row["ungated"]) for row in found["rows"]] == [(2, 2, 3), (1, 1, 2)]
    assert found["asked"] == 4 and found["rows"][0]["low"] == pytest.approx(0.0676, abs=1e-4)


def test_held_out_pairs_meet_all_that_they_were_made_of() -> None:
    """Of the encoder of word means: order and capitals change nothing, an opposite's hit is always false."""
    texts = ["is fever 1 bad", "bond tax 2", "loan price virus"]
    one = Asked(texts, vectors(encoder(), texts), [*map(frozenset, "abc")])
    found = held_out([one, one], lambda given: vectors(encoder(), given), 0.5, 10)
    for kind in ("capitals", "word order"):
        same, met = found[kind]
        assert same and met.right.all() and met.cosine == pytest.approx(np.ones(6), abs=1e-5)
    for kind in ("negation", "number", "rarest word"):
        same, met = found[kind]
        assert not same and not met.right.any()
    assert not found["number"][1].passes.any() and len(found["number"][1].cosine) == 4


# Through the live pipeline


def distinct(queries: tuple[Query, ...]) -> tuple[Query, ...]:
    """Fourteen questions of different words; the encoder does not see their order."""
    return tuple({frozenset(query.text.split()): query for query in queries}.values())[:14]


def doubled(tell: str) -> Dataset:
    """Every question asked once more in other words, for the same relevant passage or, if told so, another."""
    collections = []
    for one in (replace(one, queries=distinct(one.queries)) for one in COLLECTIONS):
        again = tuple(q._replace(id=f"{q.id}-again", text=f"{q.text} {q.text}") for q in one.queries)
        own = {f"{q.id}-again": one.qrels[q.id] for q in one.queries}
        other = dict(zip(own, [*list(own.values())[1:], next(iter(own.values()))], strict=True))
        asked = tuple(q._replace(split="train") for q in (*one.queries, *again))
        collections.append(replace(one, queries=asked, qrels={**one.qrels, **(own if tell == "same" else other)}))
    return Dataset("doubled", tuple(collections), "f" * 64, "", 0)


def lab(dataset: Dataset) -> Any:
    def queries(one: Any, progress: Any) -> np.ndarray:
        return vectors(encoder(), [query.text for query in one.queries])

    return SimpleNamespace(
        dataset=dataset,
        progress=Bars(),
        encoder=SimpleNamespace(
            queries=queries, encode=lambda texts, progress, what: vectors(encoder(), texts)
        ),
    )  # fmt: skip


def cache(**changes: Any) -> Cache:
    layers = LAYERING._replace(semantic=SETTINGS._replace(**changes))
    return memory.build(namespace="n", layers=layers, max_bytes=1 << 24).open()


def pipeline(dataset: Dataset, kept: Cache) -> Pipeline:
    indexes = {one.domain: f"index of {one.domain}" for one in COLLECTIONS}
    names = Names("tiny", indexes, {}, {})
    return Pipeline(stages(recall=Recall(kept, names, 10, terms(lab(dataset), kept))), setting(), 0)


def test_near_questions_are_answered_alike_where_calibration_admits_it() -> None:
    """Words alone decide the vectors: "fever cough fever cough" is nearest to "fever cough"."""
    dataset, kept = doubled("same"), cache()
    live = pipeline(dataset, kept)
    (note,) = kept.snapshot().notes
    assert note.startswith("Semantic layer on:") and "from cosine 0.5" in note
    first = COLLECTIONS[0].queries[0]
    again = first._replace(id="again", text=f"{first.text} {first.text}")
    (own,), (lent,) = live.respond([first]), live.respond([again])
    assert own.computed == Computed(True, True, True) and lent.computed == Computed(True, False, False)
    assert lent.answer == own.answer and lent.passages == own.passages
    counts = kept.snapshot().layers
    assert [counts[name].near_hits for name in ("embeddings", "evidence", "explanations")] == [0, 1, 1]
    assert counts["evidence"].false_hits == 0


@pytest.mark.parametrize("serve", [True, False])
def test_it_stays_off_where_no_threshold_keeps_the_promise_or_nobody_asked_for_it(serve: bool) -> None:
    kept = cache(serve=serve)
    live = pipeline(doubled("other"), kept)
    notes = kept.snapshot().notes
    assert len(notes) == serve and all(note.startswith("Semantic layer off: no threshold") for note in notes)
    first = COLLECTIONS[0].queries[0]
    live.respond([first])
    (reply,) = live.respond([first._replace(id="again", text=f"{first.text} {first.text}")])
    assert reply.computed == Computed(True, True, True)
    assert all(counts.near_hits == 0 for counts in kept.snapshot().layers.values())


def test_the_whole_measurement() -> None:
    dataset = doubled("same")
    halved = [
        replace(one, queries=tuple(q._replace(split=("train", "test")[n % 2]) for n, q in enumerate(one.queries)))
        for one in dataset.collections
    ]
    found = run(lab(replace(dataset, collections=tuple(halved))), SETTINGS, 5)
    assert found["asked"] == {split: {"questions": 28, "twins": 28} for split in ("train", "test")}
    assert [one["kind"] for one in found["pairs"]][:3] == ["twins", "capitals", "word order"]
    for one in found["pairs"]:
        assert all(0 <= row["false"] <= row["hits"] <= one["asked"] for row in one["rows"])
        assert all(row["low"] <= row["false"] / one["asked"] <= row["high"] for row in one["rows"])
