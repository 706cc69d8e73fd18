"""Others' tools and a second implementation agree with what a run wrote, query by query."""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow.parquet as parquet
import pytest
import pytrec_eval
import reference
from command import Done

from rag_lab.data.beir import build as beir_data

pytestmark = [pytest.mark.network, pytest.mark.shared_data]

ALPHAS = [round(step / 10, 1) for step in range(11)]
FIELDS = {"recall_at_10": "recall", "ndcg_at_10": "ndcg", "mrr_at_10": "mrr"}


def judgments(done: Done) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for line in (done.folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, passage, grade = line.split("\t")
        found[query][passage] = int(grade)
    return found


def rankings(done: Done) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """(variant, query -> passage -> score), as trec_eval reads it: the score alone orders."""
    for path in sorted((done.folder / "rankings").iterdir()):
        ranked: dict[str, dict[str, float]] = defaultdict(dict)
        for line in gzip.decompress(path.read_bytes()).decode().splitlines():
            query, _, passage, _, score, _ = line.split()
            ranked[query][passage] = float(score)
        yield path.name.removesuffix(".trec.gz"), ranked


def scored(done: Done, ranked: dict[str, dict[str, float]]) -> pandas.DataFrame:
    judge = pytrec_eval.RelevanceEvaluator(judgments(done), {"recall_10", "ndcg_cut_10"})
    found = judge.evaluate(ranked)
    return pandas.DataFrame(found).T.rename(columns={"recall_10": "recall_at_10", "ndcg_cut_10": "ndcg_at_10"})


def test_trec_eval_gives_the_same_recall_and_ndcg_for_every_query(beir: Done) -> None:
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas().set_index(["variant", "query_id"])
    compared = 0
    for variant, ranked in rankings(beir):
        if variant.endswith(".seed0"):
            continue  # per_query holds the mean over seeds; see the next test
        ceiling = variant.endswith(".recall_at_10")  # its ranking is the one that is best for recall
        own = rows.loc[variant.removesuffix(".recall_at_10")]
        theirs = scored(beir, ranked).loc[own.index]
        for metric in ("recall_at_10",) if ceiling else ("recall_at_10", "ndcg_at_10"):
            np.testing.assert_allclose(theirs[metric], own[metric], atol=1e-6, err_msg=f"{variant} {metric}")
            compared += len(own)
    assert compared > 2000


def test_trec_eval_places_a_learner_s_first_seed_among_its_seeds(beir: Done) -> None:
    """One seed of n lies within sd·sqrt(n − 1) of their mean, whatever the values."""
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas().set_index(["variant", "query_id"])
    learners = [(name.removesuffix(".seed0"), ranked) for name, ranked in rankings(beir) if name.endswith(".seed0")]
    plain = {"thompson", "thompson_true_domain"}
    assert {name for name, _ in learners} == plain | {f"{name}_rich" for name in plain}
    for variant, ranked in learners:
        own = rows.loc[variant]
        theirs = scored(beir, ranked).loc[own.index]
        for metric in ("recall_at_10", "ndcg_at_10"):
            reach = own[f"{metric}_sd"] * np.sqrt(20 - 1) + 1e-6
            assert ((theirs[metric] - own[metric]).abs() <= reach).all()


@pytest.fixture(scope="module")
def baked(beir: Done) -> dict[str, dict[str, np.ndarray]]:
    """The baked arrays of the action set `alpha`, by domain: those whose α = 0.5 is what per_query says of `static`."""
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas().query("variant == 'static'")
    kept = [dict(np.load(path)) for path in (beir.cwd / "runs" / ".cache" / "baked").glob("metrics-*.npz")]
    found = {}
    for domain, own in rows.groupby("domain", sort=False):
        for one in kept:
            if len(one["recall"]) == len(own) and np.allclose(one["ndcg"][:, 5], own.ndcg_at_10, atol=1e-9):
                found[domain] = {name: values[:, : len(ALPHAS)] for name, values in one.items()}  # first come the α
    assert list(found) == ["healthcare", "finance", "general"]
    return found


def loaded(beir: Done) -> Any:
    """The cut, as the package reads it: which passages and queries it holds is not in question here."""
    import doubles

    node = beir.resolved["data"]
    return beir_data(**{key: value for key, value in node.items() if key != "_target_"})(0, doubles.Bars())


@pytest.mark.parametrize("number", range(3), ids=["scifact", "fiqa", "boolq"])
def test_the_second_implementation_agrees_for_every_alpha(
    beir: Done, baked: dict[str, dict[str, np.ndarray]], number: int
) -> None:
    """From text and vectors to recall, nDCG and MRR, in plain NumPy, for every query and every α."""
    collection = loaded(beir).collections[number]
    folder = Path(beir.resolved["encoder"]["domains"][collection.domain])
    place = {passage.id: row for row, passage in enumerate(collection.passages)}

    def unit(name: str, rows: list[int]) -> np.ndarray:
        vectors = np.load(folder / name)[rows].astype(np.float64)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    expected = reference.evaluate(
        [f"{passage.title} {passage.text}".strip() for passage in collection.passages],
        [query.text for query in collection.queries],
        [{place[one]: grade for one, grade in collection.qrels[query.id].items()} for query in collection.queries],
        unit("corpus.npy", [passage.row for passage in collection.passages]),
        unit("queries.npy", [query.row for query in collection.queries]),
        ALPHAS,
        100,
    )
    for name, field in FIELDS.items():
        np.testing.assert_allclose(baked[collection.domain][field], expected[name], atol=1e-6, err_msg=name)


def test_the_logged_decisions_explain_the_learner_s_score(beir: Done, baked: dict[str, dict[str, np.ndarray]]) -> None:
    """Conjugate updates over decisions.parquet, by hand, give each seed's frozen actions, and so per_query.

    All twenty seeds are logged. The bandit is played by the detected domain.
    """
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas()
    taken = parquet.read_table(beir.folder / "decisions.parquet").to_pandas()
    policy, presets = beir.resolved["policy"], beir.resolved["presets"]
    queries = rows[rows.variant == "static"].set_index("query_id")
    context = queries.detected_domain[taken.query_id].to_numpy()
    frozen = {}
    for (seed, domain), own in taken.groupby(["seed", context]):
        prior = policy["prior_mean"] - policy["prior_slope"] * np.abs(np.array(ALPHAS) - presets[domain])
        pulls = np.bincount(own.action, minlength=11)
        total = np.bincount(own.action, own.reward, minlength=11)
        mean = (policy["prior_strength"] * prior + total) / (policy["prior_strength"] + pulls)
        frozen[seed, domain] = int(mean.argmax())
    for metric, field in FIELDS.items():
        everything = dict(zip(queries.index, np.concatenate([baked[one][field] for one in baked]), strict=True))
        learner = rows[rows.variant == "thompson"]
        expected = [
            np.mean([everything[query][frozen[seed, domain]] for seed in range(20)])
            for query, domain in zip(learner.query_id, learner.detected_domain, strict=True)
        ]
        np.testing.assert_allclose(learner[metric], expected, atol=1e-6)


def test_the_first_decision_s_propensity_is_what_100_000_draws_say(beir: Done) -> None:
    """At step 1 every seed believes its prior, so each action's chance is known."""
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas()
    detected = rows[rows.variant == "static"].set_index("query_id").detected_domain
    taken = parquet.read_table(beir.folder / "decisions.parquet").to_pandas().query("step == 1")
    policy, presets = beir.resolved["policy"], beir.resolved["presets"]
    sd = policy["reward_sd"] / np.sqrt(policy["prior_strength"])
    chances = {}
    for domain in set(detected[taken.query_id]):
        mean = policy["prior_mean"] - policy["prior_slope"] * np.abs(np.array(ALPHAS) - presets[domain])
        random = np.random.default_rng(0)
        chances[domain] = reference.propensity_by_draws(mean, np.full(11, sd), 100_000, random)
    assert len(taken) == 20
    for row in taken.itertuples():
        assert row.propensity == pytest.approx(chances[detected[row.query_id]][row.action], abs=0.005)


def test_other_tools_can_read_every_ranking(beir: Done) -> None:
    import ir_measures

    judged = pandas.DataFrame(
        [(query, passage, grade) for query, found in judgments(beir).items() for passage, grade in found.items()],
        columns=["query_id", "doc_id", "relevance"],
    )
    path = beir.folder / "rankings" / "static.trec.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    ranked = list(ir_measures.read_trec_run(text))
    tests = {query for query in judged.query_id if query in {one.query_id for one in ranked}}
    found = ir_measures.calc_aggregate([ir_measures.nDCG @ 10], judged[judged.query_id.isin(tests)], ranked)
    rows = parquet.read_table(beir.folder / "per_query.parquet").to_pandas().query("variant == 'static'")
    assert found[ir_measures.nDCG @ 10] == pytest.approx(rows.ndcg_at_10.mean(), abs=1e-6)
