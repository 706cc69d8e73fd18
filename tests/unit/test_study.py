"""Tuning by ask and tell: budgets, ties, and interruptions that leave no trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import optuna
import pytest

from rag_lab import study
from rag_lab.l4_feedback.policy import Budget

ALPHAS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
TRIALS = 13  # the sampler draws the first ten at random; from then on they depend on what was seen
WHEN = [(True, 0), (True, 4), (False, 0), (False, 5), (False, 12)]  # grid?, and the trial to interrupt
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One SQLite file for all studies here: they differ by name."""
    return tmp_path_factory.mktemp("studies") / "kept" / "studies.db"


def objective(action: int, trial: int) -> float:
    """Best at α = 0.4, noisy by trial."""
    return float(1 - (ALPHAS[action] - 0.4) ** 2 + 0.05 * np.random.default_rng(trial).normal())


def run(storage: Path, name: str, objective: Callable[[int, int], float] = objective, *, grid: bool) -> Any:
    trials = len(ALPHAS) if grid else TRIALS
    return study.run(storage, name, ALPHAS, objective, trials, 5, grid=grid)


def trials_of(storage: Path, name: str) -> list[tuple[int, str, dict[str, float], float | None]]:
    """Everything about a study's trials but the clock."""
    kept = optuna.load_study(storage=f"sqlite:///{storage}", study_name=name)
    return [(one.number, one.state.name, one.params, one.value) for one in kept.get_trials(deepcopy=False)]


@pytest.fixture(scope="module")
def whole(storage: Path) -> dict[bool, list[tuple[int, str, dict[str, float], float | None]]]:
    """Both kinds of study, uninterrupted, by `grid`."""
    for grid in (False, True):
        run(storage, f"whole-{grid}", grid=grid)
    return {grid: trials_of(storage, f"whole-{grid}") for grid in (False, True)}


# Budgets and choices


def rewards(domains: int = 2, queries: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Domain d is best at action 1 + 3d; the mean over domains somewhere between. Rewards are 0 or 1."""
    random = np.random.default_rng(1)
    domain = np.repeat(np.arange(domains), queries)
    chance = 0.9 - 0.1 * np.abs(np.arange(6) - (1 + 3 * domain[:, None]))
    return (random.random((len(domain), 1)) < chance).astype(np.float64), domain


def tune(storage: Path, material: study.Train, search: study.Search, per_domain: bool, budget: Budget) -> list[int]:
    return study.tune(storage, material, search, per_domain, budget).actions.tolist()


def train(identity: str = "a") -> study.Train:
    values, domain = rewards()
    return study.Train(values, domain, ALPHAS, identity)


def best(means: np.ndarray) -> int:
    """The action with the best mean, ties to the α nearest 0.5."""
    top = np.flatnonzero(np.round(means, 9) == np.round(means.max(), 9))
    return int(top[np.abs(ALPHAS[top] - 0.5).argmin()])


def test_judged_queries_buy_every_action_of_so_many_queries(storage: Path) -> None:
    """With as many as there are, the choice is the best of all train queries; exact, by the grid."""
    found = tune(storage, train(), study.Search(500, 20, 0), True, "judged")
    values, domain = rewards()
    means = [values[domain == one].mean(axis=0) for one in range(2)]
    assert found == [best(means[0]), best(means[1]), best(np.mean(means, axis=0))]
    # The mean's study serves both kinds of reference: here it is only read back.
    pooled = tune(storage, train(), study.Search(500, 20, 0), False, "judged")
    assert pooled == [found[-1]] * 3


def test_the_mean_weighs_domains_alike(storage: Path) -> None:
    """One domain with many queries does not outvote another."""
    values = np.zeros((110, 6))
    values[:100, 1], values[:100, 4], values[100:, 4] = 0.5, 0.4, 0.5
    one = study.Train(values, np.repeat([0, 1], [100, 10]), ALPHAS, "weights")
    assert tune(storage, one, study.Search(500, 20, 0), False, "judged") == [4, 4, 4]


def test_a_smaller_budget_judges_fewer_queries(storage: Path) -> None:
    """Five queries of forty: the choice is the best on five distinct ones of the domain, given by the seed."""
    choices = set()
    for seed in range(3):
        judged = study.judged_queries(train().domain, study.Search(5, 5, seed), 1)
        assert len(set(judged.tolist())) == 5 and (train().domain[judged] == 1).all()
        choices.add(tuple(judged.tolist()))
    assert len(choices) == 3
    found = tune(storage, train(), study.Search(5, 5, 2), True, "judged")
    assert found[1] == best(train().rewards[judged].mean(axis=0))


def test_ties_go_to_the_alpha_nearest_the_middle(storage: Path) -> None:
    values = np.zeros((6, 6))
    values[:, [0, 1, 4, 5]] = 1
    one = study.Train(values, np.zeros(6, int), ALPHAS, "ties")
    # 0.2 and 0.8 are as near to 0.5 as each other, so either will do; 0 and 1 are not.
    assert tune(storage, one, study.Search(6, 2, 0), False, "judged") in ([1, 1], [4, 4])
    values[:, 2] = 1
    one = study.Train(values, np.zeros(6, int), ALPHAS, "no tie")
    assert tune(storage, one, study.Search(6, 2, 0), False, "judged") == [2, 2]


class Counting(np.ndarray):
    """Rewards that count how many of them are looked at."""

    seen: int

    def __getitem__(self, at: Any) -> Any:
        found = np.asarray(self)[at]
        self.seen += found.size
        return found


@pytest.mark.parametrize("pulls", [20, 7, 100])
def test_pulls_spend_what_the_bandit_spends(storage: Path, pulls: int) -> None:
    """Every reward looked at is counted: 60 a domain, however many of them a trial buys."""
    values, domain = rewards()
    counting = values.view(Counting)
    counting.seen = 0
    search = study.build(pulls_per_trial=pulls, trials=0, seeds=1, spaces={})(60, 3)
    material = study.Train(counting, domain, ALPHAS, f"pulls {pulls}")
    tune(storage, material, search, False, "pulls")
    assert counting.seen == 2 * 60


def test_pulls_find_a_good_action(storage: Path) -> None:
    values, domain = rewards()
    found = tune(storage, train(), study.Search(260, 20, 0), True, "pulls")
    for one in range(2):
        means = values[domain == one].mean(axis=0)
        assert means[found[one]] >= means.max() - 0.1


def test_an_unknown_domain_costs_nothing_more(storage: Path) -> None:
    """Its action is found in what was bought for the domains: the studies are theirs alone."""
    for budget in ("judged", "pulls"):
        found = study.tune(storage, train(), study.Search(60, 20, 4), True, budget)  # type: ignore[arg-type]
        assert len(found.studies) == 2 and len(found.actions) == 3
        assert 0 <= found.actions[2] < len(ALPHAS)


def test_two_at_once_take_turns(tmp_path: Path, storage: Path) -> None:
    """Neither takes the other's open trial for one that an interruption left."""
    search = study.Search(80, 20, 6)
    expected = study.tune(storage, train(), search, True, "pulls")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(study.tune, tmp_path / "s.db", train(), search, True, "pulls") for _ in "ab"]
    for one in both:
        assert one.result().actions.tolist() == expected.actions.tolist()
    for name in expected.studies:
        assert trials_of(tmp_path / "s.db", name) == trials_of(storage, name)


def test_another_seed_other_data_or_another_budget_is_another_study(storage: Path) -> None:
    def studies() -> set[str]:
        return set(optuna.get_all_study_names(f"sqlite:///{storage}")) if storage.exists() else set()

    before = studies()
    first = study.tune(storage, train(), study.Search(4, 2, 0), False, "pulls")
    assert studies() - before == set(first.studies) and len(first.studies) == 1
    for search, identity, budget in [
        (study.Search(4, 2, 1), "a", "pulls"),
        (study.Search(6, 2, 0), "a", "pulls"),
        (study.Search(4, 4, 0), "a", "pulls"),
        (study.Search(4, 2, 0), "b", "pulls"),
        (study.Search(4, 2, 0), "a", "judged"),
    ]:
        before = studies()
        tune(storage, train(identity=identity), search, False, budget)  # type: ignore[arg-type]
        assert len(studies() - before) == 1
    before = studies()
    again = study.tune(storage, train(), study.Search(4, 2, 0), False, "pulls")
    assert studies() == before and again.studies == first.studies


# Interruptions


def test_a_grid_tries_every_action_once(whole: Any) -> None:
    assert [params["alpha"] for _, _, params, _ in whole[True]] == pytest.approx(ALPHAS.tolist())


def test_trials_are_whole_and_counted(whole: Any) -> None:
    for grid, total in ((False, TRIALS), (True, len(ALPHAS))):
        assert [number for number, *_ in whole[grid]] == list(range(total))
        assert {state for _, state, *_ in whole[grid]} == {"COMPLETE"}


def test_the_result_lists_every_reward_by_action(storage: Path, whole: Any) -> None:
    for grid in (False, True):
        tried = run(storage, f"whole-{grid}", grid=grid)
        listed = [(action, value) for action, values in tried.items() for value in values]
        kept = [(int(np.abs(ALPHAS - params["alpha"]).argmin()), value) for _, _, params, value in whole[grid]]
        assert sorted(listed) == sorted(kept)


def test_a_finished_study_is_never_extended(storage: Path, whole: Any) -> None:
    """Nothing is asked of the objective again."""

    def never(action: int, trial: int) -> float:
        raise AssertionError("a finished study was extended")

    for grid in (False, True):
        run(storage, f"whole-{grid}", never, grid=grid)
        assert trials_of(storage, f"whole-{grid}") == whole[grid]


def test_trials_come_again_and_another_seed_tries_others(storage: Path, whole: Any) -> None:
    run(storage, "again", grid=False)
    assert trials_of(storage, "again") == whole[False]
    study.run(storage, "other seed", ALPHAS, objective, TRIALS, 6, grid=False)
    assert trials_of(storage, "other seed") != whole[False]


@pytest.mark.parametrize(("grid", "at"), WHEN)
def test_interrupted_in_a_trial(storage: Path, whole: Any, grid: bool, at: int) -> None:
    """Twice at the same trial, even; the study ends as if nothing had been."""

    def interrupted(action: int, trial: int) -> float:
        if trial == at:
            raise KeyboardInterrupt
        return objective(action, trial)

    name = f"in a trial {grid} {at}"
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(storage, name, interrupted, grid=grid)
        assert sum(state == "COMPLETE" for _, state, *_ in trials_of(storage, name)) == at
    run(storage, name, grid=grid)
    assert trials_of(storage, name) == whole[grid]


@pytest.mark.parametrize(("grid", "at"), WHEN)
def test_interrupted_between_ask_and_suggest(
    storage: Path, whole: Any, grid: bool, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = optuna.trial.Trial.suggest_float

    def interrupted(self: optuna.trial.Trial, *arguments: Any, **named: Any) -> float:
        if self.number == at:
            raise KeyboardInterrupt
        return real(self, *arguments, **named)

    name = f"before suggest {grid} {at}"
    with monkeypatch.context() as patch:
        patch.setattr(optuna.trial.Trial, "suggest_float", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(storage, name, grid=grid)
    run(storage, name, grid=grid)
    assert trials_of(storage, name) == whole[grid]


@pytest.mark.parametrize(("grid", "at"), [(True, 4), (False, 11)])
@pytest.mark.parametrize("told", [False, True])
def test_interrupted_around_tell(
    storage: Path, whole: Any, grid: bool, at: int, told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Just before a reward is written down, and just after."""
    real = optuna.Study.tell

    def interrupted(self: optuna.Study, trial: optuna.trial.Trial, value: float) -> None:
        if trial.number != at or told:
            real(self, trial, value)
        if trial.number == at:
            raise KeyboardInterrupt

    name = f"around tell {grid} {told}"
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(storage, name, grid=grid)
    run(storage, name, grid=grid)
    assert trials_of(storage, name) == whole[grid]


@pytest.mark.parametrize("at", [0, 3])
def test_interrupted_while_the_grid_is_queued(
    storage: Path, whole: Any, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, queued = optuna.Study.enqueue_trial, []

    def interrupted(self: optuna.Study, *arguments: Any, **named: Any) -> None:
        if len(queued) == at:
            raise KeyboardInterrupt
        queued.append(arguments)
        real(self, *arguments, **named)

    name = f"queue {at}"
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "enqueue_trial", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(storage, name, grid=True)
    run(storage, name, grid=True)
    assert trials_of(storage, name) == whole[True]


def test_a_process_that_was_killed(storage: Path, whole: Any) -> None:
    """No exception, no clean-up: the process is gone in the middle of the fourth trial of either kind."""
    program = dedent(
        f"""
        import os, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import test_study
        def killed(action, trial):
            if trial == 3:
                if len(sys.argv) > 1:
                    os._exit(9)
                raise KeyboardInterrupt
            return test_study.objective(action, trial)
        storage = Path({str(storage)!r})
        try:
            test_study.run(storage, "killed False", killed, grid=False)
        except KeyboardInterrupt:
            sys.argv.append("now")
            test_study.run(storage, "killed True", killed, grid=True)
        """
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 9
    for grid in (False, True):
        assert trials_of(storage, f"killed {grid}")[3][1] == "RUNNING"
        run(storage, f"killed {grid}", grid=grid)
        assert trials_of(storage, f"killed {grid}") == whole[grid]


@pytest.mark.parametrize("budget", ["judged", "pulls"])
def test_an_interrupted_tuning_chooses_the_same(
    tmp_path: Path, storage: Path, budget: Budget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All studies of a per-domain tuning, interrupted in each of them in turn."""
    search = study.Search(40, 8, 9)
    expected = tune(storage, train(), search, True, budget)
    real, calls = optuna.Study.tell, []

    def interrupted(self: optuna.Study, trial: optuna.trial.Trial, value: float) -> None:
        calls.append(trial.number)
        if len(calls) in (3, 6, 9):
            raise KeyboardInterrupt
        real(self, trial, value)

    monkeypatch.setattr(optuna.Study, "tell", interrupted)
    interruptions = 0
    while True:
        try:
            found = tune(tmp_path / "studies.db", train(), search, True, budget)
            break
        except KeyboardInterrupt:
            interruptions += 1
    assert interruptions == 3
    assert found == expected
