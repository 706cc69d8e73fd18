"""What is measured of detectors: their sets, their labels held against each other, their turns."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from bags import shelf
from doubles import Bars
from live import COLLECTIONS, WORDS, built, encoder, setting, stages, vectors

from rag_lab.cache.recall import Names
from rag_lab.experiment import detectors
from rag_lab.experiment.live import Materials
from rag_lab.l2_domain.signature import Labelled, Signature
from rag_lab.l3_answer.generator import Tools
from rag_lab.types import Dataset, Query


def dataset(name: str = "beir", **changes: Any) -> Dataset:
    """Both collections, every second query in test, and an unanswerable question to the literature in each."""
    placed = []
    for one in COLLECTIONS:
        queries = tuple(
            query._replace(split="test" if number % 2 else "train", cluster=number)
            for number, query in enumerate(one.queries)
        )
        extra = Query(f"{one.domain}/consensus-9", "who knows", one.domain, "test", 99, cluster=99)
        placed.append(replace(one, queries=queries, unanswerable=(extra,)))
    return Dataset(name, tuple(placed), "f" * 64, "", 0)


def lab(**choices: str) -> Any:
    return SimpleNamespace(
        dataset=dataset(),
        progress=Bars(),
        seed=0,
        choices={"detector": "batched"} | choices,
        config={"detector": {"_target_": "rag_lab.l2_domain.batched.build", "precision": 0.0, "max_batch": 4}},
    )


@pytest.fixture(scope="module")
def given() -> Materials:
    live = encoder()
    train = [query for one in dataset().collections for query in one.queries if query.split == "train"]
    labelled = Labelled(
        [query.text for query in train],
        vectors(live, [query.text for query in train]),
        np.array([list(WORDS).index(query.domain) for query in train]),
        [[passage.text for passage in one.passages] for one in COLLECTIONS],
    )
    return Materials(live, labelled, {}, setting(), Names("bags", {}, {}, {}), Tools(shelf(), Bars()))


def test_the_easy_set_is_all_test_queries_and_only_the_default_data_has_a_hard_one() -> None:
    found = detectors.sets(dataset())
    assert list(found) == ["easy"]
    easy = found["easy"]
    assert len(easy.texts) == 20 and np.bincount(easy.truth).tolist() == [10, 10]
    assert easy.cluster.tolist() == [*range(1, 20, 2)] * 2
    packaged = detectors.sets(dataset("packaged"))
    assert packaged["hard"].texts == ("who knows", "who knows") and packaged["hard"].truth.tolist() == [0, 1]


def signature(*rows: tuple[float, float]) -> Signature:
    probabilities = np.array(rows)
    return Signature(probabilities, probabilities.argmax(axis=1), probabilities.max(axis=1))


def test_labels_are_paired_and_a_tie_counts_as_equal() -> None:
    """Four questions: equal; lost; won; lost at a tie."""
    baseline = signature((0.9, 0.1), (0.9, 0.1), (0.8, 0.2), (0.500004, 0.499996))
    treatment = signature((0.8, 0.2), (0.2, 0.8), (0.3, 0.7), (0.499999, 0.500001))
    found = detectors.paired(treatment, baseline, np.array([0, 0, 1, 0]))
    assert (found.differing, found.tied) == (3, 1)
    assert found.gain.tolist() == [0, -1, 1, 0]


def test_every_variant_is_judged_or_skipped_with_a_reason(given: Materials) -> None:
    asked = detectors.sets(dataset())
    judged, skipped = detectors.judge_all(lab(), given, asked, 0.95, 50)
    names = set(detectors.live.names("detector"))
    assert set(judged) | set(skipped) == names >= {"keyword", "sequential", "batched", "classifier"}
    assert "none" not in names and not {"keyword", "batched", "sequential"} & set(skipped)
    for name, one in judged.items():
        assert one.quality["easy"].queries == 20 and one.quality["easy"].accuracy.value > 0.7, name
        assert one.quality["easy"].answered == 1
        assert one.silent["easy"].answered <= 1
    assert judged["batched"].quality["easy"].accuracy == judged["sequential"].quality["easy"].accuracy


def test_a_variant_that_cannot_be_built_is_skipped(given: Materials, monkeypatch: pytest.MonkeyPatch) -> None:
    build = detectors.wiring.build

    def refuse(node: Any, where: str) -> Any:
        if "classifier" in node["_target_"]:
            raise ImportError("no module named\n'onnxruntime'")
        return build(node, where)

    monkeypatch.setattr(detectors.wiring, "build", refuse)
    judged, skipped = detectors.judge_all(lab(), given, detectors.sets(dataset()), 0.95, 20)
    assert "batched" in judged and skipped["classifier"] == "no module named 'onnxruntime'"


class Counted:
    """A detector that notes the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, texts: Any, vectors: Any = None) -> Signature:
        self.sizes.append(len(texts))
        return signature(*[(0.6, 0.4)] * len(texts))


def test_one_by_one_is_one_query_a_call_in_turn_and_warm() -> None:
    one, other = Counted(), Counted()
    taken = detectors.one_by_one({"one": one, "other": other}, ["a", "b", "c"], lab())
    assert one.sizes == other.sizes == [1] * 6
    assert {name: len(each) for name, each in taken.items()} == {"one": 3, "other": 3}
    assert all((each > 0).all() for each in taken.values())


def test_throughput_counts_whole_batches() -> None:
    one, many = Counted(), Counted()
    found = detectors.in_batches(one, many, [f"q{n}" for n in range(9)], (2, 3, 8), 2, lab())
    assert one.sizes == [1] * 16 and sorted(set(many.sizes)) == [2, 3, 8]
    each_round = [2] * 4 + [3] * 2 + [8]
    assert many.sizes == each_round * 4  # warm-up, then measuring
    assert found.sequential.shape == (2,) and list(found.batched) == [2, 3, 8]
    assert all((rate > 0).all() for rate in found.batched.values())


def test_batched_labels_equal_sequential_ones_text_in(given: Materials) -> None:
    asked = detectors.sets(dataset())["easy"]
    one, many = (built("detector", name).fit(given.train, given.live) for name in ("sequential", "batched"))
    found = detectors.paired(many(asked.texts), one(asked.texts), asked.truth)
    assert found.differing == found.tied == 0


def test_the_stages_of_tests_are_real() -> None:
    assert stages().detector(["fever cough"]).domain.tolist() == [0]
