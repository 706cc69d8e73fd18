"""From the router's actions to their outcomes: what is shown, what is answered by which tier, what it costs."""

from __future__ import annotations

from pathlib import Path

import bags
import numpy as np
import pytest
import yaml
from doubles import Bars, collection

from rag_lab import wiring
from rag_lab.answer_bake import Desk
from rag_lab.answer_bake.evidence import of_actions, of_rankings
from rag_lab.answer_bake.routing import Limits, limits, outcomes, score_tiers
from rag_lab.economy.actions import Action, Space
from rag_lab.economy.prices import Prices
from rag_lab.errors import ConfigError
from rag_lab.kernels.support import Head
from rag_lab.l3_answer import prompt
from rag_lab.l3_answer.generator import Tools
from rag_lab.metrics.answer import Quality, Weights

CONF = Path(__file__).resolve().parents[2] / "conf"
TEXTS = [
    "Deep sleep stores memories. Naps rest the heart.",
    "Deep sleep stores memories well. Naps rest hearts.",
    "Bonds pay interest. Interest on bonds is taxed.",
    "Rivers carry silt.",
]
CORPUS = collection(TEXTS, ["What stores memories?", "Is interest taxed?"], [{0: 1, 1: 1}, {2: 1}])
QUERIES = [one._replace(answer=answer) for one, answer in zip(CORPUS.queries, ["Deep sleep", "It is"], strict=True)]
VECTORS = bags.encode(TEXTS)
CANDIDATES = np.array([[0, 1, 2, 3], [2, 3, -1, -1]])
SCORES = np.array([[1.0, 0.9, 0.2, 0.1], [1.0, 0.5, 0, 0]], np.float32)
SPACE = Space(("small", "large"), (1, 2), (1.0, 0.5), (8, 100))
ACTIONS = SPACE.actions()
QUALITY = Quality(Weights(0.4, 0.4, 0.2), Head(0.0, 10.0, 0.0, 0.0, 0.0, -6.5, 0.5))
ANSWER_TOKENS = 9


def extractive(shelf: object) -> object:
    node = yaml.safe_load((CONF / "generator" / "extractive.yaml").read_text(encoding="utf-8"))
    node |= {"max_tokens": ANSWER_TOKENS, "refusal": dict.fromkeys(Head._fields, 0.0)}
    return wiring.build(node, "generator").open(Tools(shelf, Bars()))


@pytest.fixture(scope="module")
def prices() -> Prices:
    return wiring.build(yaml.safe_load((CONF / "prices" / "frozen.yaml").read_text(encoding="utf-8")), "prices")


@pytest.fixture(scope="module")
def shown() -> list:
    return of_actions(CORPUS, ACTIONS, CANDIDATES, SCORES, VECTORS, bags.count)


def ids(evidence: tuple) -> list[str]:
    return [passage.id for passage in evidence]


def test_what_each_action_shows(shown: list) -> None:
    """By relevance the twin comes second; diversified, what says something else; a budget cuts at a sentence."""
    by_action = dict(zip(ACTIONS, shown[0], strict=True))
    assert ids(by_action[Action("small", 2, 1.0, 100)]) == ["p0", "p1"]
    assert ids(by_action[Action("small", 2, 0.5, 100)]) == ["p0", "p2"]
    assert ids(by_action[Action("small", 1, 0.5, 100)]) == ["p0"]
    [cut] = by_action[Action("small", 2, 1.0, 8)]
    assert cut.text == "Deep sleep stores memories."
    assert [ids(one) for one in shown[1]] == [ids(one) for one in shown[1][:8]] * 2  # tiers show the same
    assert ids(dict(zip(ACTIONS, shown[1], strict=True))[Action("large", 2, 0.5, 100)]) == ["p2", "p3"]


def test_rankings_of_a_policy_show_their_passages() -> None:
    ranked = np.array([[[0, 2], [2, 0], [3, -1]], [[-1, -1], [1, 1], [0, 1]]])
    found = of_rankings(CORPUS, ranked)
    assert [[ids(one) for one in query] for query in found] == [
        [["p0", "p2"], ["p2", "p0"], ["p3"]],
        [[], ["p1", "p1"], ["p0", "p1"]],
    ]


def test_outcomes_by_hand(shown: list, prices: Prices, tmp_path: Path) -> None:
    shelf = bags.shelf()
    desks = {tier: Desk(extractive(shelf), QUALITY, shelf, tier, VECTORS) for tier in SPACE.tiers}
    scored = score_tiers(CORPUS, QUERIES, ACTIONS, shown, desks, tmp_path, Bars())
    retrieval = np.array([7e-6, 2e-6])
    most = {tier: limits(QUERIES, bags.count, ANSWER_TOKENS) for tier in SPACE.tiers}
    found = outcomes(scored, ACTIONS, prices, retrieval, np.zeros((2, 3)), most)
    assert found.quality.shape == found.cost_usd.shape == found.diversity.shape == (2, len(ACTIONS))
    for place, action in enumerate(ACTIONS):
        for query in range(2):
            asked = prompt.messages(QUERIES[query].text, shown[query][place])
            read = int(bags.count([one["content"] for one in asked]).sum())
            price = prices.generators[action.tier]
            written = scored.tokens_out[query, place]
            usd = (read * price.tokens_in + written * price.tokens_out) / 1e6 + retrieval[query]
            assert found.cost_usd[query, place] == pytest.approx(usd)
            assert found.cost_usd[query, place] <= found.most_usd[place]
    half = len(ACTIONS) // 2
    np.testing.assert_array_equal(found.quality[:, :half], found.quality[:, half:])
    assert (found.cost_usd[:, half:] > found.cost_usd[:, :half]).all()
    np.testing.assert_array_equal(found.scores["answer/coverage"], scored.coverage)
    assert np.isnan(found.quality[1]).all() and np.isfinite(found.quality[0]).all()  # "it is" has no content


def test_limits_by_hand() -> None:
    frame = bags.count([prompt.instruction(), prompt.request("", ())]).sum()
    assert limits(QUERIES, bags.count, 9) == Limits(int(frame) + 3, 9)


def test_a_tier_that_nobody_answers_is_named(shown: list, tmp_path: Path) -> None:
    shelf = bags.shelf()
    desks = {"small": Desk(extractive(shelf), QUALITY, shelf, "small", VECTORS)}
    with pytest.raises(ConfigError, match="no generator answers for the tiers large; there is one for small"):
        score_tiers(CORPUS, QUERIES, ACTIONS, shown, desks, tmp_path, Bars())
