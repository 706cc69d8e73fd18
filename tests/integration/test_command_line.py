"""The command around a run: help, configuration, completion, the console script, the gate."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from command import WEEK2, Done, Warm, environment, run, tree

SCRIPT = Path(sys.executable).with_name("rag-lab")


def test_help_names_every_group_and_variant(here: Path) -> None:
    done = run("--help", cwd=here)
    assert done.status == 0 and done.stderr == ""
    assert "+experiment=week2" in done.stdout
    for line in ("policy: ", "data: beir, ", "tracking: jsonl, mlflow", "experiment: "):
        assert line in done.stdout
    assert "open_domains" not in done.stdout and "hydra/" not in done.stdout
    assert tree(here) == set()


def test_the_configuration_is_printed_and_nothing_run(warm: Warm, here: Path) -> None:
    done = warm(WEEK2, "policy=static", "policy.alpha=0.3", "--cfg", "job", cwd=here)
    assert done.status == 0 and done.stderr == ""
    content = yaml.safe_load(done.stdout)
    target = "rag_lab.l4_feedback.policies.static.build"
    assert content["policy"] == {"_target_": target, "alpha": 0.3, "actions": ["alpha"]}
    assert content["experiment"]["name"] == "week2" and content["seed"] == 0 and "hydra" not in content
    assert tree(here) == set()


def test_part_of_the_configuration_is_printed(warm: Warm, here: Path) -> None:
    done = warm(WEEK2, "--cfg", "job", "--package", "retriever", cwd=here)
    assert done.status == 0 and "pool: 100" in done.stdout and "policy" not in done.stdout


def script(*arguments: str, cwd: Path, **env: str) -> Done:
    done = subprocess.run(
        [str(SCRIPT), *arguments], cwd=cwd, env=environment(env), text=True, capture_output=True, timeout=60
    )
    return Done(done.returncode, done.stdout, done.stderr, cwd)


def complete(line: str, cwd: Path) -> list[str]:
    """What the shell would offer, asked as bash asks through the function that the script installs."""
    return script("-sc", "query=bash", cwd=cwd, COMP_LINE=line, COMP_POINT=str(len(line))).stdout.split()


def test_the_script_installs_completion_of_itself(here: Path) -> None:
    done = script("--shell-completion", "install=bash", cwd=here)
    assert done.status == 0 and done.stderr == ""
    assert "complete " in done.stdout and "rag-lab" in done.stdout
    assert tree(here) == set()


def test_completion_offers_groups_variants_and_keys(here: Path) -> None:
    assert {"policy=static", "policy=thompson", "policy=bm25"} <= set(complete("rag-lab policy=", here))
    assert {"data=beir", "data=none", "data=packaged"} == set(complete("rag-lab data=", here))
    assert "policy=" in complete("rag-lab pol", here)
    assert "policy.prior_strength=" in complete("rag-lab policy.prior_s", here)
    assert tree(here) == set()


def test_the_script_is_the_module(here: Path) -> None:
    for arguments in (("+experiment=week9",), (WEEK2, "--cfg", "job"), ("--help",)):
        ours, theirs = script(*arguments, cwd=here), run(*arguments, cwd=here)
        assert (ours.status, ours.stdout, ours.stderr) == (theirs.status, theirs.stdout, theirs.stderr)
    assert tree(here) == set()


@pytest.mark.network
def test_a_gate_fails_after_everything_is_written(little_run: Callable[..., Done]) -> None:
    done = little_run("gate", "gate=true")
    missed = [row["id"] for row in done.summary["targets"] if row["verdict"] == "missed"]
    assert missed and done.status == 3
    assert done.stderr.startswith(f"rag_lab: gate=true: missed {', '.join(missed)}; see runs/week2/")
    assert done.stderr.count("\n") == 1
    assert done.summary["status"] == "finished" and (done.folder / "report.html").is_file()


@pytest.mark.network
def test_a_missed_target_without_a_gate_is_a_finding(packaged: Done) -> None:
    assert any(row["verdict"] == "missed" for row in packaged.summary["targets"])
    assert packaged.status == 0


def test_help_survives_a_folder_named_like_a_module(here: Path) -> None:
    (here / "jax").mkdir()
    (here / "hydra_plugins").mkdir()
    before = tree(here)
    assert run("--help", cwd=here).status == 0
    assert tree(here) == before


def test_a_place_that_cannot_be_written_is_named(warm: Warm, here: Path) -> None:
    (here / "runs").write_text("a file where the folder would be", encoding="utf-8")
    done = warm(WEEK2, "data=beir", "data.domains.law=nowhere", cwd=here)
    assert done.status == 2 and done.stderr.startswith("rag_lab: ") and done.stderr.count("\n") == 1
    assert "runs" in done.stderr
    assert tree(here) == {"runs"}
