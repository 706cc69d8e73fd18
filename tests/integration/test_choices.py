"""What a run does with each choice of policy, references, detector and names."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pandas
import pyarrow.parquet as parquet
import pytest
import yaml
from command import Done, Warm, Workplace

pytestmark = pytest.mark.network

LittleRun = Callable[..., Done]


def rows(done: Done) -> pandas.DataFrame:
    assert done.status == 0, done.stderr
    assert done.stderr == ""
    return parquet.read_table(done.folder / "per_query.parquet").to_pandas()


def test_a_single_fixed_alpha_stands_alone(little_run: LittleRun) -> None:
    done = little_run("alone", "policy=static", "policy.alpha=0.3", "references=[]")
    found = rows(done)
    assert set(found.variant) == set(done.summary["variants"]) == {"static_0.3"}
    assert (found.alpha == 0.3).all() and set(found.split) == {"train", "test"}
    assert done.summary["comparisons"] == []
    reasons = {row["id"]: row["why"] for row in done.summary["targets"] if row["verdict"] == "not measured"}
    assert len(reasons) == len(done.summary["targets"])
    assert "references" in reasons["w2.recall"] and "static_tuned" in reasons["w2.beats_static"]
    taken = parquet.read_table(done.folder / "decisions.parquet").to_pandas()
    assert (taken.alpha == 0.3).all() and (taken.propensity == 1).all() and (taken.policy == "static_0.3").all()


def test_a_domain_without_a_preset_gets_the_one_for_the_rest(little_run: LittleRun) -> None:
    found = rows(little_run("alone with presets", "policy=static_domain", "references=[static_domain]"))
    assert set(found.variant) == {"static_domain", "static_domain_true_domain"}
    assert (found.alpha == 0.5).all()


def test_a_preset_may_be_given_for_any_domain(little_run: LittleRun) -> None:
    done = little_run("a preset", "policy=static_domain", "references=[]", "presets.law=0.2")
    assert (rows(done).alpha == 0.2).all()


@pytest.mark.parametrize("options", [("policy=bm25",), ("policy=static", "policy.alpha=1.0")], ids=["name", "value"])
def test_a_treatment_that_equals_a_reference_is_that_reference(little_run: LittleRun, options: tuple[str, ...]) -> None:
    done = little_run(f"bm25 by {options[-1]}", *options, "references=[bm25,dense]")
    assert set(rows(done).variant) == {"bm25", "dense"}
    assert {(row["treatment"], row["baseline"]) for row in done.summary["comparisons"]} == {("bm25", "dense")}


def test_settings_other_than_the_standing_ones_get_a_name_of_their_own(little_run: LittleRun) -> None:
    done = little_run(
        "custom", "policy.prior_strength=1", "references=[static,thompson]", "experiment.logged_seeds=3",
        "experiment.ranking_depth=10",
    )  # fmt: skip
    names = {"thompson_custom", "thompson_custom_true_domain", "thompson", "thompson_true_domain", "static"}
    assert set(rows(done).variant) == names | {f"{name}_rich" for name in names if name != "static"}
    ours = [row for row in done.summary["comparisons"] if not row["family"].startswith("exploratory larger")]
    assert {row["treatment"] for row in ours} == {"thompson_custom"}
    taken = parquet.read_table(done.folder / "decisions.parquet").to_pandas()
    assert set(taken.policy) == {"thompson_custom"} and set(taken.seed) == {0, 1, 2}
    text = gzip.decompress((done.folder / "rankings" / "static.trec.gz").read_bytes()).decode()
    assert max(int(line.split()[3]) for line in text.splitlines()) == 10


def test_without_a_detector_no_domain_is_detected(little_run: LittleRun) -> None:
    done = little_run("no detector", "detector=none", "references=[static_domain]", "presets.law=0.2")
    found = rows(done)
    assert found.detected_domain.isna().all()
    assert (found[found.variant == "static_domain"].alpha == 0.5).all()  # the preset for the rest
    assert (found[found.variant == "static_domain_true_domain"].alpha == 0.2).all()
    assert "detector/accuracy" not in done.summary["metrics"]  # absent is not zero


def test_without_a_tracker_the_folder_is_all(little_run: LittleRun) -> None:
    done = little_run("alone", "policy=static", "policy.alpha=0.3", "references=[]")
    assert {path.name for path in (done.cwd / "runs").iterdir()} <= {
        *(".cache", "latest", "studies.db", "studies.lock", "week2"),
    }
    assert "MLflow" not in done.stdout
    assert done.summary["run_id"] in done.stdout


@pytest.mark.shared_data
def test_a_next_run_takes_what_a_run_recommended(
    beir: Done, beir_place: Workplace, cut: tuple[str, ...], warm: Warm
) -> None:
    path = (beir.folder / "recommended.yaml").relative_to(beir.cwd)
    options = (*cut, "tracking=jsonl", "policy=recommended", f"policy.path={path}", "references=[static]")
    done = beir_place("recommended", *options, runner=warm)
    found, content = rows(done), yaml.safe_load((beir.cwd / path).read_text(encoding="utf-8"))
    alphas = {domain: pair["alpha"] for domain, pair in content["domains"].items()}
    own, told = (found[found.variant == name] for name in ("recommended", "recommended_true_domain"))
    assert own.alpha.tolist() == own.detected_domain.map(alphas).tolist() and len(own)
    assert told.alpha.tolist() == told.domain.map(alphas).tolist() and len(told)
    assert set(own.split) == {"test"}  # it was chosen on train
    winner = beir.summary["variants"].get(
        f"{content['variant']}_true_domain", beir.summary["variants"][content["variant"]]
    )
    if content["variant"] in ("static_tuned", "static_tuned_pulls", "bm25", "dense", "static"):
        reached = done.summary["variants"]["recommended"]["retrieval/recall_at_10"]
        assert reached == pytest.approx(winner["retrieval/recall_at_10"], abs=1e-12)


@pytest.mark.shared_data
def test_a_recommendation_for_other_domains_is_refused(beir: Done, little_run: LittleRun) -> None:
    done = little_run("foreign", "policy=recommended", f"policy.path={beir.folder / 'recommended.yaml'}")
    assert done.status == 2
    assert "recommends nothing for law; it knows healthcare, finance, general" in done.stderr
