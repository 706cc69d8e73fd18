"""What is measured of filters: settings, turns, and decisions held against the reference's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from doubles import Bars
from live import built

from rag_lab.errors import ConfigError
from rag_lab.experiment import filtering
from rag_lab.experiment.variants import standing
from rag_lab.l4_feedback.feedback import FeedbackBatch, Filtered
from rag_lab.l4_feedback.filters.scalar import Scalar


def lab(name: str = "vectorized", **changes: Any) -> Any:
    node = standing(name, group="filter") | changes
    return SimpleNamespace(config={"filter": node}, choices={"filter": name}, seed=0, progress=Bars())


def test_all_variants_take_the_chosen_filters_settings() -> None:
    changed = lab(half_life_days=7.0)
    for name in ("scalar", "vectorized", "jax", "pool"):
        one = filtering.build(name, changed)
        assert one.settings == filtering.settings(changed)  # type: ignore[attr-defined]
        one.close()
    assert filtering.settings(changed).half_life_days == 7.0


def test_a_filter_that_judges_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^filter=none judges nothing; give filter=jax, filter=pool"):
        filtering.settings(lab("none"))


def test_filters_take_turns_on_the_same_logs() -> None:
    told: list[tuple[str, int]] = []

    class Note:
        def __init__(self, name: str) -> None:
            self.name = name

        def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
            told.append((self.name, int(batch.user[0])))
            return Scalar(filtering.settings(lab())).weigh(batch, now)

        def close(self) -> None: ...

    taken = filtering.time_calls({"a": Note("a"), "b": Note("b")}, 50, 7, lab())
    assert [name for name, _ in told] == ["a", "b"] * (filtering.WARM_UP + 7)
    assert all(told[at][1] == told[at + 1][1] for at in range(0, len(told), 2))
    assert {name: len(each) for name, each in taken.items()} == {"a": 7, "b": 7}


def test_real_variants_decide_as_the_reference() -> None:
    filters = {name: built("filter", name) for name in ("vectorized", "jax")}
    found = filtering.decisions(filters, {50: 4, 200: 2}, lab())
    for one in found.values():
        assert one.items.tolist() == one.equal.tolist() == [50] * 4 + [200] * 2


def test_a_wrong_decision_is_counted_and_one_near_a_threshold_is_not() -> None:
    """A filter that flips an item is caught; one whose threshold differs by less than a part in 10⁵ is not."""
    settings = filtering.settings(lab())

    class Flips:
        def weigh(self, batch: FeedbackBatch, now: float) -> Filtered:
            found = Scalar(settings).weigh(batch, now)
            reason = found.reason.copy()
            reason[0] = 1 if reason[0] != 1 else 0
            return found._replace(reason=reason)

        def close(self) -> None: ...

    nearly = Scalar(settings._replace(robust_limit=settings.robust_limit * (1 + 5e-6)))
    found = filtering.decisions({"flips": Flips(), "nearly": nearly}, {100: 3}, lab())
    assert (found["flips"].equal < found["flips"].items).all()
    assert (found["nearly"].equal == found["nearly"].items).all()


def test_what_is_near_a_threshold_is_what_moving_it_a_little_would_change() -> None:
    """Four trusted users agree on 30 answers, but for one rating; the limit is set right at its robust z."""
    items = 120
    query = np.repeat(np.arange(30), 4).astype(np.int32)
    rating = np.where(np.arange(items) % 4 == 3, 0.5, 0.5 + 0.015625 * (query % 3)).astype(np.float32)
    rating[5] = 0.75
    batch = FeedbackBatch(
        np.tile(np.arange(4), 30).astype(np.int32), query, np.zeros(items, np.int32), rating,
        np.full(items, 1e9), np.full(items, 60, np.float32), np.ones(items, np.int32),
    )  # fmt: skip
    settings = filtering.settings(lab())

    def reason(limit: float) -> int:
        one = settings._replace(robust_limit=limit, sigma_limit=1e6, min_trust=0.01)
        return int(Scalar(one).weigh(batch, 1e9).reason[5])

    low, high = 0.01, 1e4  # bisect for its robust z
    assert reason(low) != 0 and reason(high) == 0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if reason(middle) else (low, middle)
    on = settings._replace(robust_limit=high, sigma_limit=1e6, min_trust=0.01)
    expected = Scalar(on).weigh(batch, 1e9)
    assert filtering._near(expected, Scalar(on), batch, 1e9)[5]
    far = Scalar(on._replace(robust_limit=high * 1.01))
    assert not filtering._near(far.weigh(batch, 1e9), far, batch, 1e9)[5]


def test_pools_take_turns_with_the_kernel() -> None:
    found = filtering.pools(built("filter", "vectorized"), (1, 2), (50, 100), 2, lab())
    assert list(found) == [50, 100]
    assert {count: len(each) for count, each in found[100].items()} == {0: 2, 1: 2, 2: 2}
