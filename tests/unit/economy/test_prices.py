from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import yaml

from rag_lab import wiring
from rag_lab.economy.prices import Prices, api_calls
from rag_lab.errors import ConfigError

FROZEN = yaml.safe_load(
    (Path(__file__).resolve().parents[3] / "conf" / "prices" / "frozen.yaml").read_text(encoding="utf-8")
)


@pytest.fixture
def prices() -> Prices:
    return wiring.build(FROZEN, "prices")


def test_the_frozen_table_is_the_protocols(prices: Prices) -> None:
    assert prices.generators["small"] == (0.15, 0.6)
    assert prices.generators["large"] == (2.5, 10)
    assert (prices.embedding, prices.lexical_search, prices.vector_search) == (0.02, 2, 5)


def test_a_retrieval_by_hand(prices: Prices) -> None:
    """Ten tokens: 2 for the words; 0.02 · 10 + 5 = 5.2 for the vectors; dollars per million."""
    found = prices.retrieval_usd(np.array([0.0, 0.5, 1.0]), np.array([10]))
    np.testing.assert_allclose(found * 1e6, [[5.2, 7.2, 2.0]])


def test_the_naive_price_agrees_for_every_action(prices: Prices) -> None:
    tokens = np.array([1, 7, 64, 256])
    found = prices.retrieval_usd(bake.ALPHAS, tokens)
    expected = [[reference.retrieval_cost_usd(alpha, count) for alpha in bake.ALPHAS] for count in tokens]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_alpha_alone_saves_only_at_the_ends(prices: Prices) -> None:
    found = prices.retrieval_usd(bake.ALPHAS, np.array([12]))[0]
    assert len(set(found[1:-1])) == 1
    assert found[0] < found[5] and found[-1] < found[5]


def test_prices_scale(prices: Prices) -> None:
    """All prices doubled double every cost: what a verdict repeated at twice the prices relies on."""
    double = prices._replace(embedding=0.04, lexical_search=4.0, vector_search=10.0)
    tokens = np.array([3, 30])
    np.testing.assert_allclose(
        double.retrieval_usd(bake.ALPHAS, tokens), 2 * prices.retrieval_usd(bake.ALPHAS, tokens)
    )


def test_calls() -> None:
    assert api_calls(np.array([0.0, 0.1, 0.9, 1.0])).tolist() == [2, 3, 3, 1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embedding": -1.0}, r"^prices\.embedding: given -1\.0; input should be greater than or equal to 0$"),
        ({"vector_search": "dear"}, r"^prices\.vector_search: given 'dear'; "),
        ({"generators": {"small": {"tokens_in": 1.0}}}, r"^prices\.generators\.small\.tokens_out: given "),
    ],
)
def test_values_that_are_not_allowed(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        wiring.build(FROZEN | change, "prices")
