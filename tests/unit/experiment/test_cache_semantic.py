"""Near questions served alike: hits and false hits by hand, the gate, the promise against exact binomial sums."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.experiment.cache_semantic import Met, Semantic, bounds, curve, meet, together

SETTINGS = Semantic((0.5, 0.9), 0.5, 0.1, 0.95)
ANGLES = np.radians([0, 10, 90, 95])  # two pairs: cosines 0.985 and 0.996
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)


def met(texts: list[str], relevant: str = "aabb", overlap: float = 0.5) -> Met:
    return meet(texts, VECTORS, [frozenset(one) for one in relevant], overlap)


def test_the_nearest_other_question_by_hand() -> None:
    found = met(["cure fever", "cure fever now", "buy bonds", "buy bonds"], "aabc")
    assert found.cosine == pytest.approx(np.cos(np.radians([10, 10, 5, 5])), abs=1e-6)
    assert found.passes.all() and found.right.tolist() == [True, True, False, False] and found.twins == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("does it help", "does it not help"),
        ("it's safe", "it isn't safe"),
        ("it isn’t safe", "it wasn't safe"),
        ("save $10,000 now", "save $100,000 now"),
        ("vitamin b12 dose", "vitamin b6 dose"),
        ("positive effects of sleep", "negative causes of wakefulness"),
    ],
)
def test_the_gate_parts_numbers_negations_and_other_words(one: str, other: str) -> None:
    assert not met([one, other, "buy bonds", "buy the bonds"]).passes[:2].any()
    assert met([one, one, other, other]).passes.all()


def test_hits_and_false_hits_by_hand() -> None:
    one = Met(np.array([0.95, 0.95, 0.6, 0.99]), np.array([1, 1, 1, 0], bool), np.array([1, 0, 1, 0], bool), 2)
    found = curve({"train": together([one, one]), "test": one}, SETTINGS)
    train, test = found["splits"]["train"], found["splits"]["test"]
    assert [(row["hits"], row["false"]) for row in train] == [(6, 2), (4, 2)]
    assert [(row["hits"], row["false"]) for row in test] == [(3, 1), (2, 1)]
    assert found["asked"] == {"train": {"questions": 8, "twins": 4}, "test": {"questions": 4, "twins": 2}}
    assert found["threshold"] is None


def test_the_lowest_threshold_that_keeps_the_promise_is_found_on_train_alone() -> None:
    """Above 0.9 a hundred right hits, bounded by 1 − 0.025^(1/100) = 3.6%; above 0.5 as many wrong ones too."""
    cosine, right = np.repeat([0.95, 0.6], 100), np.repeat([True, False], 100)
    train = Met(cosine, np.ones(200, bool), right, 0)
    wrong = train._replace(right=~right)
    found = curve({"train": train, "test": wrong}, SETTINGS)
    assert found["threshold"] == 0.9 and found["splits"]["test"][1]["false"] == 100


@given(st.integers(1, 40), st.data())
def test_bounds_are_the_exact_binomial_ones(hits: int, data: st.DataObject) -> None:
    false, tail = data.draw(st.integers(0, hits)), data.draw(st.floats(0.001, 0.2))
    low, high = bounds(false, hits, tail)

    def at_most(count: int, p: float) -> float:
        return sum(comb(hits, n) * p**n * (1 - p) ** (hits - n) for n in range(count + 1))

    assert 0 <= low <= false / hits <= high <= 1
    assert high == 1 if false == hits else at_most(false, high) == pytest.approx(tail, rel=1e-6)
    assert low == 0 if false == 0 else 1 - at_most(false - 1, low) == pytest.approx(tail, rel=1e-6)


def test_no_hit_bounds_nothing() -> None:
    assert bounds(0, 0, 0.025) == (0.0, 1.0)
