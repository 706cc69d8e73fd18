"""The feedback loop on real judgments: what the filter makes of simulated readers, and what a bandit gains by it.

How long filtering takes is measured and shown (`pytest -rA`), never asserted: a test must not fail because
the machine is busy. The benchmark `+experiment=bench_filter` is where times count.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from doubles import Bars

from rag_lab import bake, replay, wiring
from rag_lab.experiment.feedback_effect import Effect, Trial, effect
from rag_lab.l1_retrieval.actions import read
from rag_lab.l4_feedback import users
from rag_lab.l4_feedback.channel import Crowd
from rag_lab.l4_feedback.feedback import Filter, Reason
from rag_lab.l4_feedback.policy import Setting
from rag_lab.metrics.filtering import detection
from rag_lab.types import Dataset

CONF = Path(__file__).resolve().parents[2] / "conf"
FILTERS = ("scalar", "vectorized", "jax", "pool")
PRESETS = np.array([0.7, 0.5, 0.4, 0.5])
NOISES = (0.0, 0.3)
START_S = 1.75e9
ALPHA = read("alpha", [{"alpha": [step / 10 for step in range(11)]}])


def built(group: str, name: str, **changes: Any) -> Any:
    node = yaml.safe_load((CONF / group / f"{name}.yaml").read_text(encoding="utf-8"))
    node.pop("defaults", None)
    return wiring.build(node | changes, group)


class Judged(NamedTuple):
    """Real train queries: recall@10 of every α, and the domain."""

    rewards: np.ndarray
    domain: np.ndarray


@pytest.fixture(scope="module")
def judged(shared_data: Path) -> Judged:
    folders = {"healthcare": "scifact", "finance": "fiqa", "general": "boolq"}
    data = {domain: str(shared_data / name) for domain, name in folders.items()}
    vectors = {domain: str(shared_data.parent / "vectors" / name) for domain, name in folders.items()}
    load = built("data", "beir", domains=data, max_passages=1500, max_queries=450)
    dataset: Dataset = load(0, Bars())
    encoder, retriever = built("encoder", "vectors", domains=vectors), built("retriever", "hybrid")
    rewards, domain = [], []
    for number, one in enumerate(dataset.collections):
        passages, queries = encoder.passages(one, Bars()), encoder.queries(one, Bars())
        pools = bake.stack({0: retriever.candidates(one, passages, queries, Bars())}, {})
        recall = bake.score(one, pools, np.zeros((len(queries), 0)), ALPHA, 60).recall
        train = np.array([query.split == "train" for query in one.queries]) & np.isfinite(recall[:, 0])
        rewards.append(recall[train])
        domain.append(np.full(train.sum(), number))
    return Judged(np.concatenate(rewards).astype(np.float64), np.concatenate(domain))


@pytest.fixture(scope="module")
def filters() -> Iterator[dict[str, Filter]]:
    every: dict[str, Filter] = {name: built("filter", name) for name in FILTERS}
    yield every
    for each in every.values():
        each.close()


def readings(items: int, noise: float = 0.3, seed: int = 0) -> users.Simulated:
    """So many readings of made-up answers, five of each."""
    random = np.random.default_rng(seed)
    shown = items // 5
    truth = np.where(random.random(shown) < 0.3, random.random(shown), random.random(shown) < 0.65)
    pushed, domain = random.random(shown) < 0.1, random.integers(0, 3, shown)
    return users.simulate(seed, truth, pushed, domain, START_S, users=60, noise=noise, each=5)


@pytest.mark.parametrize("items", [100, 1000])
@pytest.mark.parametrize("name", FILTERS)
def test_filtering_a_hundred_and_a_thousand_items(filters: dict[str, Filter], name: str, items: int) -> None:
    """All variants say what the reference says; the time is shown."""
    log = readings(items)
    expected = filters["scalar"].weigh(log.batch, START_S + items)
    found = filters[name].weigh(log.batch, START_S + items)
    np.testing.assert_array_equal(found.reason, expected.reason)
    np.testing.assert_allclose(found.weight, expected.weight, rtol=1e-5, atol=1e-7)
    assert 0 < found.keep.sum() < items
    taken = []
    for _ in range(50):
        start = time.perf_counter()
        filters[name].weigh(log.batch, START_S + items)
        taken.append(time.perf_counter() - start)
    p95, median = np.quantile(taken, 0.95), np.median(taken)
    print(f"{name}: {items} items in {1000 * median:.2f} ms (p95 {1000 * p95:.2f}), {items / median:,.0f} items/s")


@pytest.mark.parametrize("noise", [0.1, 0.3, 0.5])
def test_noise_is_found_among_simulated_readers(filters: dict[str, Filter], noise: float) -> None:
    """Mean over ten crowds: most that is dropped is noise, most noise is dropped, little weight is left."""
    scores = []
    for seed in range(10):
        log = readings(3000, noise, seed)
        found = filters["vectorized"].weigh(log.batch, START_S + 3000)
        scores.append(detection(found.keep, found.weight, log.noise))
    means = {name: float(np.mean([getattr(one, name) for one in scores])) for name in scores[0]._fields}
    print(f"noise {noise:.0%}: " + ", ".join(f"{name} {value:.2f}" for name, value in means.items()))
    assert means["precision"] > 0.6 and means["recall"] > 0.75
    assert means["noise_weight"] < 0.25 * means["noise_share"]


def test_honest_feedback_is_left_alone(filters: dict[str, Filter]) -> None:
    log = readings(3000, 0.0)
    found = filters["vectorized"].weigh(log.batch, START_S + 3000)
    assert found.keep.mean() > 0.95
    assert not np.isin(found.reason, [Reason.INVALID, Reason.DUPLICATE]).any()


@pytest.mark.shared_data
def test_real_recall_is_what_readers_rate(judged: Judged, filters: dict[str, Filter]) -> None:
    """Readers of real lists, whose judged recall@10 is the truth: filtering brings their mean nearer to it."""
    truth = judged.rewards[:, 5]
    pushed = np.ones(len(truth), bool)  # everything is promoted: colluders praise all of it
    kinds = (int(users.Kind.SPAMMER), int(users.Kind.CARELESS))
    log = users.simulate(1, truth, pushed, judged.domain, START_S, users=80, noise=0.4, each=5, kinds=kinds)
    found = filters["jax"].weigh(log.batch, START_S + len(truth))
    answer = log.batch.query
    plain = np.bincount(answer, log.batch.rating) / 5
    weight = np.bincount(answer, found.weight)
    filtered = np.bincount(answer, found.weight * log.batch.rating) / np.maximum(weight, 1e-9)
    some = weight > 0
    assert some.mean() > 0.9
    assert np.abs(filtered - truth)[some].mean() < 0.6 * np.abs(plain - truth)[some].mean()


@pytest.fixture(scope="module")
def found(judged: Judged, filters: dict[str, Filter]) -> Effect:
    """A Thompson bandit over α on real judged rewards, 150 seeds, with and without the filter."""
    domains = ("healthcare", "finance", "general")
    labels = tuple(f"α {alpha:g}" for alpha in ALPHA.alpha)
    setting = Setting(
        domains, labels, ALPHA.alpha, ALPHA.alpha[:, None], (), PRESETS,
        lambda per_domain, budget: np.zeros(4, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    policy = built("policy", "thompson")
    place = judged.domain.astype(np.int32)
    nothing = np.zeros(judged.rewards.shape, np.int32)
    world = replay.World(judged.rewards, place, np.zeros((len(place), 1), np.float32), judged.domain, nothing)
    stream, crowd = replay.streams(0, 150, judged.domain, 300), Crowd(100, 5, 5, 60.0, users.BEHAVIOUR)
    trial = Trial(policy, policy.init(setting), world, stream, crowd, users.NOISY, update_every=20)
    return effect(trial, NOISES, filters["jax"].settings, seed=0)  # type: ignore[attr-defined]


@pytest.mark.shared_data
def test_the_filter_lowers_regret_at_thirty_percent_noise(found: Effect) -> None:
    for level in found.levels:
        print(f"noise {level.noise:.0%}: regret {level.without} without, {level.filtered} with, saved {level.saved}")
    noisy = found.levels[1]
    assert noisy.filtered.value <= noisy.without.value
    assert noisy.precision is not None and noisy.recall is not None
    assert noisy.precision > 0.6 and noisy.recall > 0.75
    assert noisy.noise_weight < 0.25 * noisy.noise_share


@pytest.mark.shared_data
def test_the_filter_costs_little_where_there_is_no_noise(found: Effect) -> None:
    clean = found.levels[0]
    assert clean.filtered.value < 1.05 * clean.without.value
