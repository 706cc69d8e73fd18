"""The adaptive experiment's promises: it learns, it is logged so that others can check it, and it says what it found.

The first half plays policies on instances whose answer is known; the second runs the real command.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml
from command import SMALL, WEEK2, Done, Workplace

from rag_lab import replay, wiring
from rag_lab.l4_feedback.policy import Setting

CONF = Path(__file__).resolve().parents[2] / "conf" / "policy"
MEANS = np.array([0.5, 0.4, 0.4, 0.4, 0.4])  # a Bernoulli instance: one arm is better by 0.1
HORIZON, SEEDS = 4000, 200


def setting(arms: int, places: int = 2) -> Setting:
    alphas = np.arange(arms) / 10
    return Setting(
        tuple(f"d{number}" for number in range(places - 1)), tuple(map(str, alphas)), alphas, alphas[:, None], (), None,
        lambda per_domain, budget: np.zeros(places, np.int64), lambda: None,  # type: ignore[arg-type,return-value]
    )  # fmt: skip


def regret(name: str, horizon: int = HORIZON, **changes: object) -> np.ndarray:
    """[seeds, steps] Cumulative pseudo-regret of a standing policy on the Bernoulli instance."""
    random = np.random.default_rng(0)
    rewards = (random.random((50_000, len(MEANS))) < MEANS).astype(np.float64)
    # The instance is the sample itself: its best arm and gaps are known exactly.
    true = rewards.mean(axis=0)
    place = np.zeros(len(rewards), np.int32)
    world = replay.World(
        rewards, place, np.zeros((len(rewards), 1), np.float32), place, np.zeros(rewards.shape, np.int32)
    )
    node = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8")) | changes
    policy = wiring.build(node, "policy")
    stream = replay.streams(3, SEEDS, place, horizon)
    path = replay.play(policy, policy.init(setting(len(MEANS))), world, stream, seed=1)
    return np.cumsum(true.max() - true[path.action], axis=1)


@pytest.fixture(scope="module")
def thompson() -> np.ndarray:
    return regret("thompson", prior_mean=0.5, prior_strength=1.0, reward_sd=0.5)


def test_regret_grows_like_the_logarithm_of_time(thompson: np.ndarray) -> None:
    """Between 500 and 4,000 steps a line in log T fits better than one in √T, let alone in T."""
    steps = np.arange(500, HORIZON + 1, 50)
    mean = thompson.mean(axis=0)[steps - 1]

    def misfit(shape: np.ndarray) -> float:
        return float(np.square(mean - np.polyval(np.polyfit(shape, mean, 1), shape)).sum())

    assert misfit(np.log(steps)) < misfit(np.sqrt(steps)) < misfit(steps)


def test_regret_lies_between_the_lower_bound_and_the_published_upper_bound(thompson: np.ndarray) -> None:
    """Lai and Robbins' bound for Gaussian rewards of variance σ² (1985, Adv. Appl. Math. 6), Σ 2σ²/Δ · log T, is what
    every uniformly good policy must lose in the long run, and Thompson sampling attains it; Agrawal and Goyal's (2017,
    J. ACM 64(5), theorem 1.3) √(N T log N) bounds it at every time."""
    gaps = MEANS.max() - MEANS[1:]
    slope = (2 * 0.25 / gaps).sum()  # σ = 0.5, of a coin
    grown = (thompson[:, -1] - thompson[:, HORIZON // 4 - 1]).mean() / np.log(4)
    assert 0.2 * slope < grown < 1.3 * slope
    assert thompson[:, -1].mean() < np.sqrt(len(MEANS) * HORIZON * np.log(len(MEANS)))


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ucb", {"prior_mean": 0.5, "prior_strength": 1.0, "reward_sd": 0.5, "width": 1.0}),
        ("epsilon_greedy", {"prior_mean": 0.5, "prior_strength": 1.0, "epsilon": 0.1}),
        ("thompson_hierarchical", {"prior_mean": 0.5, "prior_strength": 1.0, "reward_sd": 0.5}),
        ("thompson_smooth", {"prior_mean": 0.5, "prior_sd": 0.2, "reach": 0.1, "reward_sd": 0.5}),
        ("discounted_thompson", {"prior_mean": 0.5, "prior_strength": 1.0, "reward_sd": 0.5, "keep": 1.0}),
    ],
)
def test_every_bandit_loses_less_than_choosing_at_random(name: str, changes: dict[str, object]) -> None:
    lost = regret(name, horizon=1000, **changes)
    at_random = (MEANS.max() - MEANS).mean() * 1000
    assert lost[:, -1].mean() < 0.8 * at_random
    late, early = (lost[:, -1] - lost[:, -250]).mean(), lost[:, 249].mean()
    assert late < 0.85 * early


def test_thompson_without_discount_is_thompson() -> None:
    """Keeping all evidence is no discount at all: the same actions."""
    same = {"prior_mean": 0.5, "prior_strength": 1.0, "reward_sd": 0.5}
    np.testing.assert_allclose(
        regret("discounted_thompson", horizon=300, keep=1.0, **same), regret("thompson", horizon=300, **same), atol=1e-9
    )


@pytest.fixture(scope="module")
def chosen(session_folder: Path, little: Path) -> Done:
    """The whole experiment on a little collection: all policies, tuned, on both action sets, shaken."""
    options = [
        *SMALL, "policy=chosen", "policy.among=[thompson,contextual,ridge]", "search.trials=2", "search.seeds=4",
        "experiment.robustness.policies=[thompson,contextual]", "experiment.robustness.noises=[0.0,0.4]",
        "experiment.robustness.update_every=20", "experiment.robustness.seeds=6", "experiment.label_repetitions=2",
        "experiment.seeds_larger=10", "tracking=jsonl",
    ]  # fmt: skip
    place = Workplace(session_folder / "chosen")
    done = place("first", WEEK2, "data=beir", f"data.domains.law={little}", f"data.domains.medicine={little}", *options)
    assert done.status == 0, done.stderr
    return done


def test_the_treatment_is_declared_before_the_test_split_is_looked_at(chosen: Done) -> None:
    events = [json.loads(line) for line in (chosen.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    declared = next(event for event in events if event["kind"] == "declared")
    kinds = [event["kind"] for event in events]
    assert kinds.index("declared") < kinds.index("finished")
    assert declared["treatment"] == max(
        declared["train_value"], key=lambda name: round(declared["train_value"][name], 9)
    )
    primary = [row for row in chosen.summary["comparisons"] if row["family"] == "primary"]
    assert {row["treatment"] for row in primary} == {declared["treatment"]}
    assert {row["baseline"] for row in primary} == {declared["reference"]}


def test_both_action_sets_have_their_own_references_and_ceilings(chosen: Done) -> None:
    variants = chosen.summary["variants"]
    for name in (
        "static_tuned",
        "static_domain_tuned",
        "oracle_domain",
        "oracle_query",
        "thompson",
        "contextual",
        "ridge",
    ):
        assert {name, f"{name}_rich"} <= set(variants)
    assert "static_rich" not in variants and "thompson_true_domain_rich" in variants
    recall = "retrieval/recall_at_10"
    for suffix in ("", "_rich"):
        ceiling = variants[f"oracle_query{suffix}"][recall]
        assert all(
            one[recall] <= ceiling + 1e-9 for name, one in variants.items() if name.endswith("_rich") == bool(suffix)
        )
    assert variants["oracle_query_rich"][recall] >= variants["oracle_query"][recall] - 1e-9


def test_who_looks_at_the_query_pays_for_the_first_round(chosen: Done) -> None:
    calls = {name: one["cost/api_calls_per_query"] for name, one in chosen.summary["variants"].items()}
    assert calls["ridge"] == calls["contextual"] == 3.0  # both searches and an embedding, whatever α
    assert calls["bm25"] == 1.0 and calls["dense"] == 2.0


def test_alpha_and_beta_are_one_and_propensities_are_logged(chosen: Done) -> None:
    table = parquet.read_table(chosen.folder / "decisions.parquet").to_pydict()
    np.testing.assert_allclose(np.add(table["alpha"], table["beta"]), 1)
    chance = np.array(table["propensity"])
    assert ((chance > 0) & (chance <= 1)).all()
    assert set(table["policy"]) <= set(chosen.summary["variants"])


def test_what_the_report_shows_beyond_the_tables(chosen: Done) -> None:
    curves = json.loads((chosen.folder / "curves.json").read_text(encoding="utf-8"))
    rows = curves["robustness"]["rows"]
    assert {row["scenario"] for row in rows} >= {"noise", "colluding group", "new domain midway"}
    assert {row["filtered"] for row in rows} == {False, True}
    assert all(row["regret_low"] <= row["regret"] <= row["regret_high"] for row in rows)
    assert set(curves["labels"]["searches"]) == {"bandit", "tpe", "random", "grid"}
    logged = curves["off_policy"]["targets"]
    assert logged and all(0 <= row["effective"] <= 1 for row in logged)
    page = (chosen.folder / "report.html").read_text(encoding="utf-8")
    for heading in ("Dishonest users: noise", "What a label buys", "Off-policy", "Drift, cold start, a new domain"):
        assert heading in page


def test_settings_were_tuned_on_train_and_kept(chosen: Done) -> None:
    """Every tuned policy names its study; the studies hold the trials that were asked, and the tuned references'."""
    with sqlite3.connect(chosen.cwd / "runs" / "studies.db") as store:
        counted = dict(
            store.execute(
                "SELECT s.study_name, COUNT(*) FROM trials t JOIN studies s ON s.study_id = t.study_id GROUP BY 1"
            ).fetchall()
        )
    tuned = {name: count for name, count in counted.items() if name.startswith("policy-")}
    assert {name.split("-")[1] for name in tuned} == {"thompson", "contextual"}  # ridge has nothing to search
    assert set(tuned.values()) == {2} and len(tuned) == 4  # on two action sets
    assert any(name.startswith("static-judged") for name in counted)


def test_the_next_run_takes_what_was_recommended(chosen: Done) -> None:
    file = chosen.folder / "recommended.yaml"
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    assert content["actions"] in ("alpha", "rich")
    place = Workplace(chosen.cwd)
    data = [f"data.domains.{name}={chosen.resolved['data']['domains'][name]}" for name in ("law", "medicine")]
    done = place(
        "recommended", WEEK2, "data=beir", *data, *SMALL, "policy=recommended", f"policy.path={file}", "tracking=jsonl"
    )  # fmt: skip
    assert done.status == 0, done.stderr
    treatment = json.loads((done.folder / "curves.json").read_text(encoding="utf-8"))["treatment"]
    assert treatment.startswith("recommended")


def test_clicks_are_a_regime_of_their_own(little_run: object) -> None:
    done: Done = little_run("clicks", "experiment.regime=clicks", "search.trials=0")  # type: ignore[operator]
    assert done.status == 0, done.stderr
    assert any("position-debiased clicks" in note for note in done.summary["notes"])
    assert "thompson" in done.summary["variants"]
