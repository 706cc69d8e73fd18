"""What answers cost: worked arithmetic under the protocol's frozen prices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from rag_lab import wiring
from rag_lab.economy.answer_cost import answer_usd
from rag_lab.economy.prices import Prices
from rag_lab.errors import ConfigError

CONF = Path(__file__).resolve().parents[3] / "conf" / "prices"


def table(name: str) -> Prices:
    return wiring.build(yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")), "prices")


def test_by_hand() -> None:
    """1,000 tokens in and 50 out: 0.15 and 0.60 a million for the small generator, 2.50 and 10 for the large."""
    small = answer_usd(table("frozen"), "small", np.array([1000, 0]), np.array([50, 0]))
    np.testing.assert_allclose(small, [0.00015 + 0.00003, 0])
    large = answer_usd(table("frozen"), "large", np.array([[1000]]), np.array([[50]]))
    np.testing.assert_allclose(large, [[0.0025 + 0.0005]])


def test_an_unknown_tier_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no tier 'huge'; it has small, large; give prices\.generators\.huge"):
        answer_usd(table("frozen"), "huge", np.array([1]), np.array([1]))


@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_table_prices_both_tiers_and_says_whence_and_when(name: str) -> None:
    prices = table(name)
    assert set(prices.generators) == {"small", "large"}
    usd = [answer_usd(prices, tier, np.array([1000]), np.array([100]))[0] for tier in ("small", "large")]
    assert 0 < usd[0] < usd[1]
    head = (CONF / f"{name}.yaml").read_text(encoding="utf-8").split("_target_")[0]
    assert "202" in head and "assumption" in head


def test_a_machine_by_the_hour_by_hand() -> None:
    """3.60 an hour is 0.001 a second; at 1,000 tokens a second a million take 1,000 seconds."""
    node = {
        "_target_": "rag_lab.economy.gpu_hour.build", "usd_per_hour": 3.6, "embedding_per_s": 2000.0,
        "generators": {"small": {"tokens_in": 1000.0, "tokens_out": 100.0}}, "lexical_search": 2.0,
        "vector_search": 5.0,
    }  # fmt: skip
    prices = wiring.build(node, "prices")
    assert prices.generators["small"] == pytest.approx((1.0, 10.0))
    assert prices.embedding == pytest.approx(0.5)
