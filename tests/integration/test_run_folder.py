"""A finished run leaves what the contract promises, and the parts agree with each other."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pandas
import pyarrow.parquet as parquet
import pytest
import reference
import yaml
from command import Done

import rag_lab
from rag_lab.metrics.targets import TARGETS
from rag_lab.tracking import jsonl

pytestmark = pytest.mark.network

SCHEMA = json.loads((Path(rag_lab.__file__).parent / "summary.schema.json").read_text(encoding="utf-8"))
UNTUNED = {"bm25", "dense", "static", "static_domain", "static_domain_true_domain"}
METRICS = {
    "recall_at_10": "retrieval/recall_at_10",
    "ndcg_at_10": "retrieval/ndcg_at_10",
    "mrr_at_10": "retrieval/mrr_at_10",
}
ROUNDING = 1e-9  # of a mean that does not vary over resamples
ALPHAS = {"bm25": 1.0, "dense": 0.0, "static": 0.5}


def per_query(done: Done) -> pandas.DataFrame:
    return parquet.read_table(done.folder / "per_query.parquet").to_pandas()


def decisions(done: Done) -> pandas.DataFrame:
    return parquet.read_table(done.folder / "decisions.parquet").to_pandas()


def variant_of(ranking: Path) -> str:
    """A learner's first seed and a ceiling's best for recall say so in their file's name."""
    return ranking.name.removesuffix(".trec.gz").removesuffix(".seed0").removesuffix(".recall_at_10")


def test_every_file_of_the_contract_is_there_and_whole(finished: Done) -> None:
    folder = finished.folder
    assert yaml.safe_load((folder / ".hydra" / "config.yaml").read_text(encoding="utf-8"))["experiment"]
    assert "???" not in (folder / "resolved.yaml").read_text(encoding="utf-8")
    assert "${" not in (folder / "resolved.yaml").read_text(encoding="utf-8")
    assert finished.summary["status"] == "finished"
    assert len(per_query(finished)) and len(decisions(finished))
    assert set(yaml.safe_load((folder / "recommended.yaml").read_text(encoding="utf-8"))["domains"]) == set(
        finished.summary["data"]["domains"]
    )
    assert (folder / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert (folder / "qrels.tsv").read_text(encoding="utf-8").startswith("query-id\tcorpus-id\tscore\n")
    assert (folder / "data_card.md").read_text(encoding="utf-8").startswith("# ")
    stems = {variant_of(path) for path in (folder / "rankings").iterdir()}
    assert stems == set(finished.summary["variants"])


def test_nothing_half_written_stays(finished: Done) -> None:
    assert [path for path in finished.folder.rglob(".*") if path.name != ".hydra"] == []


def test_latest_is_a_link_to_a_run(finished: Done) -> None:
    latest = finished.cwd / "runs" / "latest"
    assert latest.is_symlink() and not latest.readlink().is_absolute()
    assert (latest / "events.jsonl").is_file()


def test_nothing_new_appears_beside_runs_and_reports(finished: Done) -> None:
    assert {path.name for path in finished.cwd.iterdir()} == {"runs", "reports"}
    assert [path.name for path in (finished.cwd / "reports").iterdir()] == ["metrics"]


def test_stderr_is_silent_and_the_last_lines_say_where_everything_is(finished: Done) -> None:
    assert finished.stderr == ""
    last = finished.stdout.rstrip().splitlines()[-3:]
    assert any(line.startswith("run folder") for line in last) and any(line.startswith("run id") for line in last)
    assert finished.summary["run_id"] in last[-1] + last[-2]


def test_the_report_opens_offline(finished: Done) -> None:
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//", page) == []


def test_events_tell_the_run_from_start_to_end(finished: Done) -> None:
    events = jsonl.read(finished.folder / "events.jsonl")
    assert events[0]["kind"] == "started" and events[-1]["kind"] == "finished"
    assert [event["time"] for event in events] == sorted(str(event["time"]) for event in events)
    assert events[-1]["metrics"] == finished.summary["metrics"]


def test_summary_keeps_to_its_schema(finished: Done) -> None:
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(finished.summary)


def test_summary_says_what_was_run(finished: Done) -> None:
    summary, counts = (
        finished.summary,
        per_query(finished).query("variant == 'static'").groupby(["domain", "split"]),
    )
    assert summary["seed"] == 0 and summary["experiment"] == "week2"
    assert re.fullmatch(r"[0-9a-f]{64}", summary["data"]["fingerprint"])
    assert "+experiment=week2" in summary["command"]
    for domain, found in summary["data"]["domains"].items():
        for split in ("train", "test"):
            assert found[f"queries_{split}"] >= len(counts.get_group((domain, split))) > 0
        assert found["passages"] > 10


def test_metric_names_are_legal_and_known(finished: Done) -> None:
    known = re.compile(
        r"(?:(?:healthcare|finance|general)/)?(?:retrieval/(?:recall|ndcg|mrr)_at_10|cost/usd_per_1k_queries"
        r"|cost/api_calls_per_query|bandit/(?:cumulative_regret|regret_to_static|convergence_queries|gap_closed)|detector/accuracy)"
        r"(?:_ci_low|_ci_high)?"
    )
    for metrics in (finished.summary["metrics"], *finished.summary["variants"].values()):
        assert [name for name in metrics if not known.fullmatch(name)] == []


def test_every_headline_metric_lies_in_its_interval(finished: Done) -> None:
    for variant, metrics in finished.summary["variants"].items():
        headline = [name for name in metrics if f"{name}_ci_low" in metrics]
        assert len(headline) >= 5 * 4  # five metrics; three domains and the mean
        for name in headline:
            low, high = metrics[f"{name}_ci_low"], metrics[f"{name}_ci_high"]
            assert low - ROUNDING <= metrics[name] <= high + ROUNDING, (variant, name)


def test_the_run_s_metrics_are_its_treatment_s(finished: Done) -> None:
    treatment = finished.summary["variants"]["thompson"]
    extra = {name: value for name, value in finished.summary["metrics"].items() if treatment.get(name) != value}
    assert set(extra) == {"detector/accuracy"}
    rows = per_query(finished).query("variant == 'static' and split == 'test'")
    assert extra["detector/accuracy"] == pytest.approx((rows.domain == rows.detected_domain).mean())


def test_the_mean_weighs_domains_alike(finished: Done) -> None:
    domains = list(finished.summary["data"]["domains"])
    for metrics in finished.summary["variants"].values():
        for name in METRICS.values():
            assert metrics[name] == pytest.approx(np.mean([metrics[f"{one}/{name}"] for one in domains]), abs=1e-12)


def test_per_query_means_are_the_summary_s(finished: Done) -> None:
    rows = per_query(finished).query("split == 'test'")
    means = rows.groupby(["variant", "domain"])[[*METRICS, "cost_usd", "api_calls"]].mean()
    for (variant, domain), found in means.iterrows():
        metrics = finished.summary["variants"][variant]
        for column, name in METRICS.items():
            assert metrics[f"{domain}/{name}"] == pytest.approx(found[column], abs=1e-9), (variant, domain, name)
        assert metrics[f"{domain}/cost/usd_per_1k_queries"] == pytest.approx(found["cost_usd"] * 1000, abs=1e-9)
        assert metrics[f"{domain}/cost/api_calls_per_query"] == pytest.approx(found["api_calls"], abs=1e-9)
    assert set(rows.variant) == set(finished.summary["variants"])


def test_per_query_has_one_row_for_each_query_and_variant(finished: Done) -> None:
    rows = per_query(finished)
    assert not rows.duplicated(["query_id", "variant"]).any()
    splits = rows.groupby("variant").split.agg(lambda found: frozenset(found))
    assert {name for name, found in splits.items() if found == {"train", "test"}} == UNTUNED
    assert {name for name, found in splits.items() if found == {"test"}} == set(splits.index) - UNTUNED
    for split in ("train", "test"):
        sizes = rows[rows.split == split].groupby("variant").query_id.agg(frozenset)
        assert len(set(sizes)) == 1


def test_per_query_holds_measurements_or_nothing(finished: Done) -> None:
    rows = per_query(finished)
    for column in METRICS:
        assert rows[column].between(0, 1).all() and (rows[f"{column}_sd"] >= 0).all()
    assert rows.latency_ms.isna().all()  # a replay has no latency; absent is not zero
    assert (rows.cost_usd > 0).all() and rows.api_calls.between(1, 4).all()  # a second search is a fourth call
    for variant, alpha in ALPHAS.items():
        fixed = rows[rows.variant == variant]
        assert (fixed.alpha == alpha).all() and (fixed[[f"{column}_sd" for column in METRICS]] == 0).all(axis=None)


def test_a_fixed_preset_is_played_by_the_detected_domain(finished: Done) -> None:
    rows, presets = per_query(finished), finished.resolved["presets"]
    detected, true = (rows[rows.variant == name] for name in ("static_domain", "static_domain_true_domain"))
    assert detected.alpha.tolist() == detected.detected_domain.map(presets).tolist()
    assert true.alpha.tolist() == true.domain.map(presets).tolist()


def test_ceilings_are_above_what_they_bound(finished: Done) -> None:
    variants = finished.summary["variants"]
    for metric in METRICS.values():
        for domain in finished.summary["data"]["domains"]:
            name = f"{domain}/{metric}"
            fixed = [variants[one][name] for one in ("bm25", "dense", "static", "static_tuned", "static_tuned_pulls")]
            assert variants["oracle_query"][name] >= variants["oracle_domain"][name] - 1e-12
            assert variants["oracle_domain"][name] >= max(fixed) - 1e-12


def test_one_primary_family_holm_corrected(finished: Done) -> None:
    rows, domains = finished.summary["comparisons"], set(finished.summary["data"]["domains"])
    primary = [row for row in rows if row["family"] == "primary"]
    assert {row["domain"] for row in primary} == domains and len(primary) == len(domains)
    assert {row["treatment"] for row in primary} == {"thompson"}
    assert {row["metric"] for row in primary} == {"retrieval/recall_at_10"}
    assert {row["baseline"] for row in primary} <= {"static_tuned", "static_domain_tuned"}
    assert len({row["baseline"] for row in primary}) == 1
    families = {row["family"] for row in rows}
    assert all(name == "primary" or name.startswith("exploratory") for name in families) and len(families) > 1
    for family in families:
        own = [row for row in rows if row["family"] == family]
        adjusted = reference.holm([row["p_value"] for row in own])
        np.testing.assert_allclose([row["p_adjusted"] for row in own], adjusted, rtol=1e-12, err_msg=family)


def test_comparisons_are_of_what_the_variants_reached(finished: Done) -> None:
    variants = finished.summary["variants"]
    tests = {domain: found["queries_test"] for domain, found in finished.summary["data"]["domains"].items()}
    for row in finished.summary["comparisons"]:
        name = row["metric"] if row["domain"] == "mean" else f"{row['domain']}/{row['metric']}"
        ours, theirs = variants[row["treatment"]][name], variants[row["baseline"]][name]
        assert row["difference"] == pytest.approx(ours - theirs, abs=1e-12)
        assert row["relative"] == pytest.approx((ours - theirs) / theirs, abs=1e-12)
        assert row["ci_low"] - ROUNDING <= row["difference"] <= row["ci_high"] + ROUNDING, row
        assert 1 / 201 - 1e-9 <= row["p_value"] <= row["p_adjusted"] <= 1  # 200 resamples
        assert row["n"] == (sum(tests.values()) if row["domain"] == "mean" else tests[row["domain"]])
        assert row["minimum_detectable_effect"] is None or row["minimum_detectable_effect"] > 0
        assert row["treatment"] != row["baseline"] and not row["baseline"].startswith("oracle")


def test_every_target_is_judged_or_says_why_not(finished: Done) -> None:
    targets = {row["id"]: row for row in finished.summary["targets"]}
    assert [row["id"] for row in finished.summary["targets"]] == [target.id for target in TARGETS]
    judged = {name for name, row in targets.items() if row["verdict"] != "not measured"}
    assert judged == {"w2.recall", "w2.beats_static", "w2.cost"}
    assert "60 queries and 20 seeds" in targets["w2.convergence"]["why"]  # too small a run for that one
    for name, row in targets.items():
        if name in judged:
            assert row["ci_low"] <= row["value"] <= row["ci_high"] and row["why"], name
        else:
            assert row["value"] is None and row["ci_low"] is None and len(row["why"]) > 10, name


def test_verdicts_follow_from_the_intervals(finished: Done) -> None:
    for row in finished.summary["targets"]:
        if row["verdict"] == "not measured":
            continue
        sign = -1 if row["id"] == "w2.cost" else 1  # a cost is to fall
        low, high = sorted(sign * row[end] for end in ("ci_low", "ci_high"))
        past, short = low >= sign * row["target"], high < sign * row["target"]
        allowed = {"missed"} if short else {"met", "inconclusive"} if past else {"inconclusive"}
        assert row["verdict"] in allowed, row


def test_decisions_are_complete_and_keep_their_propensities(finished: Done) -> None:
    rows = decisions(finished)
    domains = list(finished.summary["data"]["domains"])
    length = 60 * len(domains)
    assert set(rows.columns) == {
        "query_id", "domain", "step", "seed", "policy", "action", "label", "alpha", "beta", "propensity", "reward",
    }  # fmt: skip
    assert sorted(rows.seed.unique()) == list(range(20)) and (rows.policy == "thompson").all()
    for _, own in rows.groupby("seed"):
        assert own.step.tolist() == list(range(1, length + 1))
        assert own.domain.value_counts().to_dict() == dict.fromkeys(domains, 60)
    assert (rows.propensity > 0).all() and (rows.propensity <= 1 + 1e-6).all()
    np.testing.assert_allclose(rows.beta, 1 - rows.alpha, atol=1e-12)
    np.testing.assert_allclose(rows.alpha, rows.action / 10, atol=1e-12)


def test_decisions_are_on_train_queries_and_earn_their_recall(finished: Done) -> None:
    rows, queries = decisions(finished), per_query(finished)
    train = set(queries[queries.split == "train"].query_id)
    assert set(rows.query_id) <= train
    for variant, alpha in ALPHAS.items():
        known = queries[queries.variant == variant].set_index("query_id").recall_at_10
        taken = rows[rows.alpha == alpha]
        assert len(taken) > 20
        np.testing.assert_allclose(taken.reward, known[taken.query_id], atol=1e-12)


def test_propensities_are_calibrated(finished: Done) -> None:
    """An action taken with probability p is an unbiased sample of weight 1/p: the weights add up to the actions.

    E[1/p of the action taken] = 11, the number of actions, at every step.
    """
    rows = decisions(finished)
    early = rows[rows.step <= 30]  # later an action's chance may be tiny, and the mean would say little
    weights = 1 / early.propensity
    error = weights.std() / np.sqrt(len(weights))
    assert abs(weights.mean() - 11) < 5 * error
    assert error < 1.5


def test_recommended_is_the_best_on_train(finished: Done) -> None:
    content = yaml.safe_load((finished.folder / "recommended.yaml").read_text(encoding="utf-8"))
    rows = per_query(finished)
    train = rows[(rows.split == "train") & rows.variant.isin(["bm25", "dense", "static"])]
    means = train.groupby(["variant", "domain"]).recall_at_10.mean().groupby("variant").mean()
    assert content["train_recall_at_10"] >= means.max() - 1e-6
    assert content["data_fingerprint"] == finished.summary["data"]["fingerprint"]
    for pair in (*content["domains"].values(), content["otherwise"]):
        assert pair["alpha"] + pair["beta"] == pytest.approx(1)


def test_rankings_hold_each_query_once_per_rank(finished: Done) -> None:
    queries = per_query(finished)
    for path in sorted((finished.folder / "rankings").iterdir()):
        variant = variant_of(path)
        lines = [line.split() for line in gzip.decompress(path.read_bytes()).decode().splitlines()]
        ranked = pandas.DataFrame(lines, columns=["query", "q0", "passage", "rank", "score", "tag"])
        assert (ranked.tag == variant).all() and not ranked.duplicated(["query", "passage"]).any()
        assert set(ranked["query"]) == set(queries[queries.variant == variant].query_id)
        for _, own in ranked.groupby("query"):
            assert own["rank"].astype(int).tolist() == list(range(1, len(own) + 1))
            assert own.score.astype(float).is_monotonic_decreasing
