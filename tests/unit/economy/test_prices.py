from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference
import yaml

from rag_lab import wiring
from rag_lab.economy.prices import Prices, api_calls
from rag_lab.errors import ConfigError
from rag_lab.l1_retrieval.actions import EXPANSIONS, read
from rag_lab.types import ActionSet

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


ALPHA = read("alpha", [{"alpha": [step / 10 for step in range(11)]}])
EVERY = read(
    "every",
    [
        {"alpha": [0, 0.5, 1], "expansion": list(EXPANSIONS), "late": [0, 0.5], "depth": ["all", 5]},
        {"alpha": [0, 0.5, 1], "fusion": ["reciprocal_rank"]},
    ],
)


def test_a_retrieval_by_hand(prices: Prices) -> None:
    """Ten tokens: 2 for the words; 0.02 · 10 + 5 = 5.2 for the vectors; dollars per million. A second search by
    words adds 2 to a whole first round, by vectors 5; late interaction needs the whole round and adds nothing."""
    found = prices.retrieval_usd(read("x", [{"alpha": [0, 0.5, 1]}]), np.array([10]))
    np.testing.assert_allclose(found * 1e6, [[5.2, 7.2, 2.0]])
    found = prices.retrieval_usd(read("x", [{"alpha": [0, 1], "expansion": ["rm3", "rocchio"]}]), np.array([10]))
    np.testing.assert_allclose(found * 1e6, [[9.2, 12.2, 9.2, 12.2]])
    found = prices.retrieval_usd(read("x", [{"alpha": [0, 1], "late": [0, 0.5]}]), np.array([10]))
    np.testing.assert_allclose(found * 1e6, [[5.2, 7.2, 2.0, 7.2]])


@pytest.mark.parametrize("actions", [ALPHA, EVERY], ids=["alpha", "every"])
def test_the_naive_price_agrees_for_every_action(prices: Prices, actions: ActionSet) -> None:
    tokens = np.array([1, 7, 64, 256])
    found = prices.retrieval_usd(actions, tokens)
    expected = [
        [
            reference.retrieval_cost_usd(alpha, count, EXPANSIONS[expansion], late)
            for alpha, expansion, late in zip(actions.alpha, actions.expansion, actions.late, strict=True)
        ]
        for count in tokens
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_alpha_alone_saves_only_at_the_ends(prices: Prices) -> None:
    found = prices.retrieval_usd(ALPHA, np.array([12]))[0]
    assert len(set(found[1:-1])) == 1
    assert found[0] < found[5] and found[-1] < found[5]


def test_who_looked_at_both_rankers_has_paid_for_both(prices: Prices) -> None:
    """Whatever the action, at least a whole first round; where there was one anyway, nothing changes."""
    tokens = np.array([3, 30])
    plain, looked = (prices.retrieval_usd(EVERY, tokens, looked=looked) for looked in (False, True))
    whole = prices.retrieval_usd(read("x", [{"alpha": [0.5]}]), tokens)
    np.testing.assert_allclose(looked, np.maximum(plain, whole))
    np.testing.assert_array_equal(api_calls(EVERY, looked=True), np.maximum(api_calls(EVERY), 3))


def test_prices_scale(prices: Prices) -> None:
    """All prices doubled double every cost: what a verdict repeated at twice the prices relies on."""
    double = prices._replace(embedding=0.04, lexical_search=4.0, vector_search=10.0)
    tokens = np.array([3, 30])
    np.testing.assert_allclose(double.retrieval_usd(EVERY, tokens), 2 * prices.retrieval_usd(EVERY, tokens))


def test_calls() -> None:
    assert api_calls(read("x", [{"alpha": [0, 0.1, 0.9, 1]}])).tolist() == [2, 3, 3, 1]
    assert api_calls(read("x", [{"alpha": [0, 0.5, 1], "expansion": ["rm3"]}])).tolist() == [4, 4, 4]
    assert api_calls(read("x", [{"alpha": [1], "late": [0.1]}])).tolist() == [3]


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
