"""`hydra/sweeper=optuna` at work: the real command and real workers, with a job that costs nothing (little_job.py)."""

# ruff: noqa: E501 the tables are read by row

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import storages
import yaml
from command import LIMIT_S, ROOT, WEEK2, Done, Warm, Workplace, environment, run, tree

from rag_lab.sweep import storage

LITTLE = (str(ROOT / "tests" / "little_job.py"),)
SWEEP = ("--multirun", "hydra/sweeper=optuna", WEEK2, "tracking=jsonl")
MARK = "policy.prior_strength=interval(0.1,50)"
TOTAL = 6
SIX = (*SWEEP, MARK, f"hydra.sweeper.n_trials={TOTAL}")
STUDIES = "runs/sweeps.db"


def sweep(cwd: Path, *arguments: str, job: str = "work") -> Done:
    return run(*arguments, cwd=cwd, program=LITTLE, env={"LITTLE_JOB": job})


def trials(cwd: Path, name: str | None = None) -> list[optuna.trial.FrozenTrial]:
    """The trials of the one study, or of that name, as Optuna itself reads them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.load_study(study_name=name, storage=f"sqlite:///{cwd / STUDIES}").trials


def folders(cwd: Path) -> list[Path]:
    """The folders of the sweeps, oldest first."""
    return sorted(path.parent for path in cwd.glob("runs/week2/*/multirun.yaml"))


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def outcome(found: list[optuna.trial.FrozenTrial]) -> list[tuple[str, dict[str, Any], list[float] | None]]:
    return [(one.state.name, one.params, one.values) for one in found]


@pytest.fixture(scope="module")
def place(session_folder: Path) -> Workplace:
    return Workplace(session_folder / "optuna")


@pytest.fixture(scope="module")
def whole(place: Workplace) -> Done:
    """A sweep of six trials that nothing befell."""
    done = place("whole", *SIX, program=LITTLE)
    assert done.status == 0, done.stderr
    return done


# What a sweep does and leaves


def test_a_sweep_runs_its_trials_and_says_what_was_best(whole: Done) -> None:
    assert whole.stderr == ""
    found = trials(whole.cwd)
    assert [one.state.name for one in found] == ["COMPLETE"] * TOTAL
    best = max(found, key=lambda one: one.value or 0)
    lines = whole.stdout.splitlines()
    assert len([line for line in lines if re.match(r"trial +\d+  policy.prior_strength=\S+  complete ", line)]) == TOTAL
    assert f"best: trial {best.number}, train/retrieval/recall_at_10 {best.value:.6g}" in lines
    (folder,) = folders(whole.cwd)
    content = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8"))
    assert content["trials"][0]["trial"] == best.number
    assert content["trials"][0]["overrides"] == [
        "policy=thompson",
        f"policy.prior_strength={best.params['policy.prior_strength']!r}",
    ]
    assert f"take it into a run: python -m rag_lab +experiment=NAME @{folder.relative_to(whole.cwd)}/best.yaml" in lines
    assert [path.name for path in whole.cwd.iterdir()] == ["runs"]
    assert {path.name for path in folder.iterdir() if path.is_file()} == {
        "best.yaml", "multirun.yaml", "study.html", "trials.csv",
    }  # fmt: skip


def test_every_job_knows_its_trial_and_keeps_what_it_prints(whole: Done) -> None:
    (folder,) = folders(whole.cwd)
    for one in trials(whole.cwd):
        job = folder / str(one.number)
        assert one.user_attrs["run"] == str(job.relative_to(whole.cwd))
        x = one.params["policy.prior_strength"]
        said = (job / "output.txt").read_text(encoding="utf-8")
        assert said.startswith(f"policy.prior_strength={x:.6g} ")
        assert f"'optuna.trial': '{one.number}'" in said and "'optuna.study': 'week2-" in said
        assert f"python -m rag_lab policy=thompson +experiment=week2 tracking=jsonl policy.prior_strength={x!r}" in said
        overrides = yaml.safe_load((job / ".hydra" / "overrides.yaml").read_text(encoding="utf-8"))
        assert overrides == ["policy=thompson", WEEK2, "tracking=jsonl", f"policy.prior_strength={x!r}"]


def test_a_finished_study_is_read_back(place: Workplace, whole: Done) -> None:
    again = place("again", *SIX, program=LITTLE)
    assert again.status == 0 and again.stderr == ""
    assert len(trials(whole.cwd)) == TOTAL
    first, second = folders(whole.cwd)[:2]
    assert [path for path in second.iterdir() if path.is_dir()] == []
    contents = [yaml.safe_load((one / "best.yaml").read_text(encoding="utf-8")) for one in (first, second)]
    assert contents[0] == contents[1]


def test_the_best_is_taken_into_a_next_run(warm: Warm, whole: Done) -> None:
    path = folders(whole.cwd)[0] / "best.yaml"
    (best,) = yaml.safe_load(path.read_text(encoding="utf-8"))["trials"]
    done = warm(WEEK2, f"@{path}", "seed=3", "--cfg", "job", cwd=whole.cwd)
    assert done.status == 0, done.stderr
    config = yaml.safe_load(done.stdout)
    own = f"policy.prior_strength={config['policy']['prior_strength']!r}"
    assert best["overrides"] == ["policy=thompson", own]
    assert config["seed"] == 3


def test_several_objectives_and_a_space_from_a_file(tmp_path: Path) -> None:
    objectives = "maximize train/retrieval/recall_at_10,minimize cost/usd_per_1k_queries"
    done = sweep(
        tmp_path, *SWEEP, "+search/space=thompson", f"hydra.sweeper.objectives=[{objectives}]",
        "hydra/sweeper/sampler=nsgaii", "hydra.sweeper.n_trials=8", "policy=thompson", "policy.reward_sd=0.3",
    )  # fmt: skip
    assert done.status == 0 and done.stderr == ""
    found = trials(tmp_path)
    space = yaml.safe_load((ROOT / "conf" / "search" / "space" / "thompson.yaml").read_text(encoding="utf-8"))
    assert {frozenset(one.params) for one in found} == {frozenset(space) - {"policy", "policy.reward_sd"}}
    values = [one.values for one in found]
    front = [
        number for number, (score, cost) in enumerate(values)
        if not any(s >= score and c <= cost and (s, c) != (score, cost) for s, c in values)
    ]  # fmt: skip
    (folder,) = folders(tmp_path)
    content = yaml.safe_load((folder / "pareto.yaml").read_text(encoding="utf-8"))
    assert [trial["trial"] for trial in content["trials"]] == front
    assert "caution: cost/usd_per_1k_queries: of the test queries" in done.stdout


def test_trials_that_are_not_worth_going_on_are_ended(tmp_path: Path) -> None:
    pruner = ("hydra/sweeper/pruner=median", "hydra.sweeper.pruner.n_startup_trials=2")
    done = sweep(tmp_path, *SWEEP, MARK, "hydra.sweeper.n_trials=10", *pruner, job="report")
    assert done.status == 0 and done.stderr == ""
    found = trials(tmp_path)
    assert {one.state.name for one in found} == {"COMPLETE", "PRUNED"}
    for one in found:
        if one.state.name == "PRUNED":
            assert len(one.intermediate_values) < 5 and one.user_attrs["error"].startswith("at step ")
        else:
            assert list(one.intermediate_values) == [0, 1, 2, 3, 4]
            assert one.intermediate_values[4] == pytest.approx(one.value)


def test_a_missed_target_is_a_finding_and_counts(tmp_path: Path) -> None:
    done = sweep(tmp_path, *SWEEP, "policy.prior_strength=1,2", "hydra/sweeper/sampler=brute_force", "gate=true")
    assert done.status == 3
    assert sorted((one.state.name, one.params["policy.prior_strength"]) for one in trials(tmp_path)) == [
        ("COMPLETE", "1"), ("COMPLETE", "2"),
    ]  # fmt: skip


# Several at once


def test_jobs_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits until another is at work."""
    done = sweep(tmp_path, *SIX, "hydra.sweeper.n_jobs=2", job="meet")
    assert done.status == 0 and done.stderr == ""
    assert [one.state.name for one in trials(tmp_path)] == ["COMPLETE"] * TOTAL
    assert len(list((tmp_path / "met").iterdir())) == 2  # processes, which stayed for all of it


def test_two_sweeps_share_a_study(tmp_path: Path) -> None:
    """Started together, they do the trials of one between them; each tells of all."""
    command = [sys.executable, *LITTLE, *SIX]
    both = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environment({"LITTLE_JOB": "meet"}), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(2)
    ]  # fmt: skip
    said = [one.communicate(timeout=LIMIT_S) for one in both]
    assert [(one.returncode, err) for one, (_, err) in zip(both, said, strict=True)] == [(0, ""), (0, "")]
    assert [one.state.name for one in trials(tmp_path)] == ["COMPLETE"] * TOTAL
    ran = [set(re.findall(r"^trial +(\d+) ", out, re.MULTILINE)) for out, _ in said]
    assert ran[0] and ran[1] and not ran[0] & ran[1] and ran[0] | ran[1] == {str(n) for n in range(TOTAL)}


# What befalls a sweep


def holding(cwd: Path) -> list[int]:
    """The processes whose jobs wait for the test."""
    return [int(path.name.partition("-")[2]) for path in cwd.glob("holding-*")]


def wait(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not come():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)


def lives(process: int) -> bool:
    """Whether it has not ended, be it that nobody has asked how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(("with_signal", "jobs"), [(signal.SIGINT, 2), (signal.SIGTERM, 1), (signal.SIGKILL, 1)])
def test_a_sweep_that_is_stopped_goes_on_where_it_was(
    whole: Done, tmp_path: Path, with_signal: signal.Signals, jobs: int
) -> None:
    arguments = (*SIX, f"hydra.sweeper.n_jobs={jobs}")
    with (tmp_path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, *LITTLE, *arguments], cwd=tmp_path, env=environment({"LITTLE_JOB": "hold"}),
            stdout=subprocess.DEVNULL, stderr=err, start_new_session=True,
        )  # fmt: skip
    wait(lambda: len(holding(tmp_path)) == jobs or process.poll() is not None)
    if with_signal == signal.SIGINT:
        os.killpg(process.pid, with_signal)  # Ctrl-C reaches the workers too
    else:
        process.send_signal(with_signal)
    killed = with_signal == signal.SIGKILL
    assert process.wait(LIMIT_S) == (-signal.SIGKILL if killed else 130)
    said = "rag_lab: interrupted; what was finished is kept, start again to go on\n"
    assert (tmp_path / "err").read_text(encoding="utf-8") == ("" if killed else said)
    wait(lambda: not any(map(lives, holding(tmp_path))))  # no job outlives its sweep
    states = [one.state.name for one in trials(tmp_path)]
    assert states == ["COMPLETE"] * 2 + ["RUNNING" if killed else "WAITING"] * jobs

    (tmp_path / "go").touch()
    done = sweep(tmp_path, *arguments, job="hold")
    assert done.status == 0 and done.stderr == ""
    found = trials(tmp_path)
    assert [one.state.name for one in found] == ["COMPLETE"] * TOTAL
    if jobs == 1:
        assert outcome(found) == outcome(trials(whole.cwd))


def test_failed_trials_are_recorded_and_the_others_go_on(whole: Done, tmp_path: Path) -> None:
    done = sweep(tmp_path, *SIX, job="refuse")
    assert done.status == 2
    found = trials(tmp_path)
    refused = [one for one in found if one.params["policy.prior_strength"] > 25]
    assert refused and [one.state.name for one in refused] == ["FAIL"] * len(refused)
    assert {one.state.name for one in found if one not in refused} == {"COMPLETE"}
    (folder,) = folders(tmp_path)
    *lines, last = done.stderr.splitlines()
    reasons = [
        f"policy.prior_strength: given {one.params['policy.prior_strength']}; allowed is 25 or less" for one in refused
    ]
    assert lines == [f"rag_lab: {reason}" for reason in reasons]
    assert last == (
        f"rag_lab: {len(refused)} of the trials run here failed, or missed a target; "
        f"see {folder.relative_to(tmp_path)}/trials.csv"
    )
    assert [row["error"] for row in table(folder) if row["state"] == "fail"] == reasons
    for one, reason in zip(refused, reasons, strict=True):
        assert (folder / str(one.number) / "failure.txt").read_text(encoding="utf-8").strip() == reason


def test_a_worker_that_dies_is_a_failed_trial_and_is_replaced(tmp_path: Path) -> None:
    done = sweep(tmp_path, *SIX, job="die")
    assert done.status == 1
    found = trials(tmp_path)
    died = [one for one in found if one.params["policy.prior_strength"] > 25]
    assert {one.state.name for one in died} == {"FAIL"}
    assert {one.state.name for one in found if one not in died} == {"COMPLETE"}
    assert f"rag_lab: trial {died[0].number}: its process ended by SIGKILL, without a word\n" in done.stderr


def test_a_fault_keeps_its_traceback(tmp_path: Path) -> None:
    done = sweep(tmp_path, *SWEEP, MARK, "hydra.sweeper.n_trials=1", job="break_down")
    assert done.status == 1
    assert "Traceback" in done.stderr and "AttributeError: of nothing" in done.stderr
    assert trials(tmp_path)[0].user_attrs["error"] == "AttributeError: of nothing"


def test_an_objective_that_no_run_has_ends_the_sweep_at_its_first_trial(tmp_path: Path) -> None:
    done = sweep(tmp_path, *SIX, "hydra.sweeper.objectives=[maximize train/retrieval/recall]")
    assert done.status == 2
    assert re.fullmatch(
        r"rag_lab: hydra\.sweeper\.objectives: train/retrieval/recall: no such name; did you mean "
        r"'train/retrieval/recall_at_10'\? allowed: [^\n]+\n",
        done.stderr,
    )
    assert [one.state.name for one in trials(tmp_path)] == ["WAITING"]


# What is refused, before anything is recorded

REFUSED = {
    "nothing marked": ((), "nothing to search; mark a value"),
    "an interval upside down": (("policy.prior_strength=interval(50,0.1)",), r"interval\(50,0\.1\): low <= high"),
    "half an interval": (("policy.prior_strength=interval(1)",), "cannot be read|interval"),
    "a misspelt key": (("policy.strength=interval(0,1)",), "policy.strength: no such name; did you mean 'prior_strength'"),
    "no such sampler": ((MARK, "hydra/sweeper/sampler=tpee"), "did you mean 'tpe'"),
    "a sampler that Optuna lacks": ((MARK, "hydra.sweeper.sampler._target_=optuna.samplers.TPE"), "did you mean 'optuna.samplers.TPESampler'"),
    "an argument that it lacks": ((MARK, "+hydra.sweeper.sampler.startup=3"), "hydra.sweeper.sampler.startup: no such name"),
    "no such pruner": ((MARK, "hydra/sweeper/pruner=medium"), "did you mean 'median'"),
    "no such setting": ((MARK, "hydra.sweeper.n_trails=3"), "n_trails: no such name; did you mean 'n_trials'"),
    "no trials": ((MARK, "hydra.sweeper.n_trials=0"), "hydra.sweeper.n_trials: given 0"),
    "half an objective": ((MARK, "hydra.sweeper.objectives=[recall]"), "given 'recall'; allowed is maximize or minimize"),
    "no such space": (("+search/space=tompson",), "did you mean 'thompson'"),
    "no such storage": ((MARK, "hydra.sweeper.storage=nowhere://x"), "hydra.sweeper.storage=nowhere://x cannot be used"),
    "no server": ((MARK, "hydra.sweeper.storage=redis://127.0.0.1:1/0"), "redis://127.0.0.1:1/0 cannot be used: .*refused"),
    "a sampler without steps": ((MARK, "hydra/sweeper/sampler=brute_force"), "hydra.sweeper.sampler: .*step"),
    "no such best": (("@nowhere.yaml", MARK), "nowhere.yaml: no such file or directory; give @<best.yaml of a sweep>"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_sweep_that_cannot_be_is_refused(warm: Warm, tmp_path: Path, name: str) -> None:
    arguments, says = REFUSED[name]
    done = warm(*SWEEP, *arguments, cwd=tmp_path)
    assert done.status == 2, (done.stdout, done.stderr)
    assert re.fullmatch(r"rag_lab: [^\n]+\n", done.stderr), done.stderr
    assert re.search(says, done.stderr), done.stderr
    assert tree(tmp_path) == set()


def test_no_experiment_is_refused(warm: Warm, tmp_path: Path) -> None:
    done = warm("--multirun", "hydra/sweeper=optuna", "tracking=jsonl", MARK, cwd=tmp_path)
    assert done.status == 2
    assert re.fullmatch(r"rag_lab: no experiment chosen; allowed: [^\n]+\n", done.stderr)


def test_a_study_about_something_else_is_refused(warm: Warm, whole: Done) -> None:
    name = f"hydra.sweeper.study_name={re.findall('study (week2-[0-9a-f]+)', whole.stdout)[0]}"
    cases = {
        (MARK, "hydra.sweeper.objectives=[minimize train/retrieval/recall_at_10]"): "objectives maximize",
        (MARK, "hydra.sweeper.objectives=[maximize train/a,minimize train/b]"): "objectives maximize",
        ("policy.prior_strength=interval(0.1,60)",): r"space policy\.prior_strength=interval\(0\.1,50\)",
        (MARK, "experiment.seeds=30"): "config",
    }
    for arguments, says in cases.items():
        done = warm(*SWEEP, name, *arguments, cwd=whole.cwd)
        assert done.status == 2, done.stdout
        assert re.fullmatch(
            rf"rag_lab: hydra\.sweeper\.{name.partition('.')[2].partition('.')[2]}[^\n]+\n", done.stderr
        )
        assert re.search(f"the study in sqlite:///runs/sweeps.db has {says}.* give another", done.stderr)


def test_a_password_is_written_down_nowhere(tmp_path: Path) -> None:
    with storages.postgresql() as url:
        done = sweep(tmp_path, *SWEEP, MARK, "hydra.sweeper.n_trials=2", f"hydra.sweeper.storage={url}")
        assert done.status == 0 and done.stderr == ""
        with storage.opened(url) as kept:
            (study,) = kept.get_all_studies()
            assert [one.state.name for one in kept.get_all_trials(study._study_id)] == ["COMPLETE"] * 2
    assert "secret" in url and "secret" not in done.stdout
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or b"secret" not in path.read_bytes(), path
