"""The roadmap's checks of the router, on real questions, passages and answers.

Outcomes are made from two public collections by a crude generator: it says the sentences of the evidence that share
most words with the question, one where the tier is small and three where it is large, and is paid by the frozen
prices. Quality is the share of the reference answer's words that are said; diversity is that of the passages' words.
What is measured here is the router, not the generator.
"""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from unit.economy.offers import build

from rag_lab import config, wiring
from rag_lab.economy.actions import Action, Space
from rag_lab.economy.answer_cost import answer_usd
from rag_lab.economy.choice import lattice
from rag_lab.economy.outcomes import Outcomes
from rag_lab.encoder import sentences
from rag_lab.experiment import routing
from rag_lab.experiment.routed import QUALITY, REFERENCE, WASTED, Material, Plan, play_all
from rag_lab.experiment.summary import Findings
from rag_lab.l1_retrieval.lexical import Lexical
from rag_lab.metrics.answer import coverage

pytestmark = pytest.mark.shared_data
FOLDERS = {"healthcare": "pubmedqa", "general": "mtrag_clapnq"}
QUERIES, PASSAGES = 80, 400  # of each domain
SAID = {"small": 1, "large": 3}  # sentences
SPACE = Space(("small", "large"), (1, 3, 6), (1.0, 0.5), (150, 600))
ACTIONS = SPACE.actions()
PROMPT = 120  # tokens of instruction and question, about
PREFERENCE = {"cost": 1.0, "quality": 10.0, "diversity": 0.0}  # quality is what this user wants


@cache
def words(text: str) -> frozenset[int]:
    return frozenset({stem for part in sentences.split(text) for stem, _ in sentences.content(part)})


def read(folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Passages, questions and reference answers: every question's relevant passages are among the passages."""
    rows = gzip.decompress((folder / "corpus.jsonl.gz").read_bytes()).decode().strip().split("\n")
    corpus = {one["_id"]: f"{one['title']} {one['text']}" for one in map(json.loads, rows)}
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").strip().split("\n")]
    judged: dict[str, list[str]] = {}
    for split in (folder / "qrels").glob("*.tsv"):
        for line in split.read_text(encoding="utf-8").strip().split("\n")[1:]:
            query, passage, grade = line.split("\t")
            if int(grade) > 0:
                judged.setdefault(query, []).append(passage)
    chosen = [one for one in asked if one.get("answer") and one["_id"] in judged][:QUERIES]
    needed = [passage for one in chosen for passage in judged[one["_id"]]]
    kept = dict.fromkeys([*needed, *list(corpus)[:PASSAGES]])
    return [corpus[one] for one in kept], [one["text"] for one in chosen], [one["answer"] for one in chosen]


def shown(ranked: list[int], held: list[frozenset[int]], scores: np.ndarray, action: Action) -> list[int]:
    """The passages of an action: maximal marginal relevance over the best by BM25, likeness being shared words."""
    left, taken = list(ranked), list[int]()
    while left and len(taken) < action.passages:
        near = {one: max((overlap(held[one], held[other]) for other in taken), default=0.0) for one in left}
        best = max(left, key=lambda one: action.mmr * scores[one] - (1 - action.mmr) * near[one])
        left.remove(best)
        taken.append(best)
    return taken


def overlap(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / max(len(one | other), 1)


def answered(question: frozenset[int], evidence: list[str], action: Action) -> tuple[str, int, float]:
    """What is said, how many tokens were sent, and how sure the generator is: the share of the question it met."""
    sent, room = list[str](), action.context_tokens
    for text in evidence:
        for sentence in sentences.split(text):
            room -= len(sentence.split())
            if room >= 0:
                sent.append(sentence)
    best = sorted(sent, key=lambda one: -len(words(one) & question))[: SAID[action.tier]]
    met = len(frozenset().union(*map(words, best)) & question) / max(len(question), 1)
    return " ".join(best), PROMPT + action.context_tokens - max(room, 0), met


def investigate(material: Material, plan: Plan) -> Findings:
    return routing.judge(play_all(material, plan), plan)


@pytest.fixture(scope="module")
def material(shared_data: Path) -> Material:
    prices = wiring.build(yaml.safe_load((config.folder() / "prices" / "frozen.yaml").read_text()), "prices")
    retrieval = prices.lexical_search / 1e6
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("quality", "cost", "diversity", "confidence")}
    features, domain, cluster = [], [], []
    for number, folder in enumerate(FOLDERS.values()):
        passages, questions, references = read(shared_data / folder)
        held = [words(text) for text in passages]
        scores = Lexical(passages, k1=1.5, b=0.75)(questions)
        for query, (question, reference) in enumerate(zip(questions, references, strict=True)):
            own = scores[query] / max(scores[query].max(), 1e-9)
            ranked = np.argsort(-own, kind="stable")[:20].tolist()
            row = []
            for action in ACTIONS:
                places = shown(ranked, held, own, action)
                said, tokens, met = answered(words(question), [passages[one] for one in places], action)
                pairs = [1 - overlap(held[a], held[b]) for a in places for b in places if a < b]
                usd = answer_usd(prices, action.tier, np.array(tokens), np.array(len(said.split())))
                row.append((coverage(reference, said), float(usd) + retrieval, np.mean(pairs) if pairs else 0.0, met))
            for column, values in zip(columns.values(), np.array(row).T, strict=True):
                column.append(values)
            best = np.sort(own)[::-1]
            features.append([scores[query].max(), best[1], best[:10].mean(), len(words(question))])
            domain.append(number)
            cluster.append(query)
    stacked = {name: np.stack(rows) for name, rows in columns.items()}
    most = [
        float(answer_usd(prices, one.tier, np.array(PROMPT + one.context_tokens), np.array(300))) + retrieval
        for one in ACTIONS
    ]
    outcomes = Outcomes(
        stacked["quality"], stacked["cost"], stacked["diversity"], stacked["confidence"],
        np.full(len(domain), retrieval), np.array(features), np.array(most), {},
    )  # fmt: skip
    rows = np.arange(len(domain))
    return Material(
        tuple(FOLDERS), tuple(map(str, rows)), np.array(domain), np.array(domain), np.array(cluster), rows % 2 == 1,
        ACTIONS, outcomes,
    )  # fmt: skip


@pytest.fixture(scope="module")
def found(material: Material) -> Findings:
    names = ("best_single", "cascade", "knn", "random_mix")
    routers = {"pareto": build("pareto", preference=PREFERENCE)} | {name: build(name) for name in names}
    return investigate(material, Plan("pareto", routers, lattice(8), resamples=500, seed=0))


def test_outcomes_are_real(material: Material) -> None:
    outcomes = material.outcomes
    assert len(outcomes.quality) == 2 * QUERIES and 0.1 < np.nanmean(outcomes.quality) < 0.9
    assert (outcomes.cost_usd <= outcomes.most_usd).all()


def test_only_non_dominated_actions_are_routed_to(found: Findings) -> None:
    """w2.pareto_waste and w2.pareto_exact, on every test query."""
    verdicts = {row.id: row for row in found.targets}
    assert verdicts["w2.pareto_waste"].verdict == "met" and found.metrics[WASTED] == 0
    pytest.importorskip("moocore")
    assert verdicts["w2.pareto_exact"].verdict == "met"


def test_cost_falls_by_a_fifth_at_quality_that_is_not_significantly_lower(found: Findings) -> None:
    """The roadmap's saving, on held-out queries, by the preference of this file."""
    (quality,) = [row for row in found.comparisons if row.family == "primary" and row.domain == "mean"]
    assert quality.baseline == REFERENCE and quality.metric == QUALITY
    assert found.metrics["economy/cost_change_ci_high"] <= -0.2
    assert not (quality.difference < 0 and quality.p_adjusted < 0.05)


def test_routing_is_worth_more_than_any_single_action(found: Findings) -> None:
    assert found.metrics["pareto/hypervolume"] >= found.metrics["pareto/hypervolume_singles"] - 0.02
    assert found.metrics["economy/cost_at_equal_quality"] < -0.05
    assert found.metrics["economy/quality_at_equal_cost"] > 0


def test_a_stream_budget_holds_on_real_costs(material: Material) -> None:
    from rag_lab.economy import replay
    from rag_lab.economy.router import Setting

    train, test = material.part(test=False), material.part(test=True)
    budget = {"usd_per_1k": 0.5, "window": 20, "sharpness": 3.0}
    router = build("pareto", preference={"cost": 0.0, "quality": 1.0, "diversity": 0.0}, stream=budget)
    state = router.init(Setting(train.domains, train.actions, train.outcomes, train.context))
    order = np.arange(len(test.queries))
    _, paid, _ = replay.stream(router, state, test.outcomes, test.context, order, seed=0)
    windows = np.lib.stride_tricks.sliding_window_view(paid.astype(np.float64), 20).sum(axis=1)
    assert windows.max() <= 0.5 * 20 / 1000
