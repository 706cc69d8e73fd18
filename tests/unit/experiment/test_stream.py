"""The request stream: its law, its clock, its determinism."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rag_lab.experiment.stream import requests
from rag_lab.types import Query

QUERIES = [Query(f"q{number}", "?", "a", "test", number) for number in range(200)]


def test_popularity_follows_zipf() -> None:
    counts = sorted(Counter(one.query.id for one in requests(QUERIES, length=20_000, exponent=1.0, seed=0)).values())
    expected = 20_000 / np.arange(1, 201) / (1 / np.arange(1, 201)).sum()
    assert counts[-1] == pytest.approx(expected[0], rel=0.1)
    assert sum(counts[-10:]) == pytest.approx(expected[:10].sum(), rel=0.05)


def test_one_request_a_second() -> None:
    times = [one.time_s for one in requests(QUERIES, length=50, exponent=1.0, seed=0)]
    assert np.diff(times).tolist() == [1.0] * 49


def test_a_seed_is_a_stream_and_a_longer_one_is_another_draw_of_the_same_law() -> None:
    one, same, other = (requests(QUERIES, length=300, exponent=1.0, seed=seed) for seed in (0, 0, 1))
    assert one == same != other


def test_without_an_exponent_all_are_as_popular() -> None:
    counts = Counter(one.query.id for one in requests(QUERIES, length=40_000, exponent=0.0, seed=3))
    assert max(counts.values()) < 2 * min(counts.values())
