"""Tuned references: Optuna finds the best fixed α on train queries, by ask and tell, within a counted budget.

Two budgets. *Judged queries*: so many queries are judged once, and then every action's reward is known on all
of them, so a grid over the actions spends nothing more. *Pulls*: every (query, action) reward is paid for, so
each trial buys a few pulls at the α that a TPE sampler proposes (Bergstra et al. 2011, NeurIPS). In both, the
action with the best mean over everything bought wins; ties go to the α nearest 0.5.

A study is kept in SQLite under a name made of everything it depends on: a finished one is read back, never
extended; an unfinished one goes on to the same total. Every trial's randomness comes from (seed, trial number),
so a study that was interrupted ends like one that was not.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from rag_lab.l4_feedback.policy import Budget


class Search(NamedTuple):
    """How to tune. per_domain: queries (judged) or pulls, for each domain; pulls_per_trial: of one domain."""

    per_domain: int
    pulls_per_trial: int
    seed: int


def build(*, pulls_per_trial: Annotated[int, Field(ge=1)]) -> Callable[[int, int], Search]:
    """Returns (budget for each domain, seed) -> Search."""
    return lambda per_domain, seed: Search(per_domain, min(pulls_per_trial, per_domain), seed)


class Train(NamedTuple):
    """What there is to tune on. rewards: of every action on every train query; domain: each query's domain
    index, 0 … D − 1, every one of which has a query; identity: a hash of what the rewards depend on."""

    rewards: Float[np.ndarray, "Q A"]
    domain: Int[np.ndarray, " Q"]
    actions: Float[np.ndarray, " A"]
    identity: str


class Tuned(NamedTuple):
    """actions: the best one in each context; studies: the names under which the searches are kept."""

    actions: Int[np.ndarray, " C"]
    studies: tuple[str, ...]


def tune(storage: Path, train: Train, search: Search, per_domain: bool, budget: Budget) -> Tuned:
    """The best action in every context: domains in order, then the one for an unknown domain.

    per_domain=False finds one action for the mean over domains; True finds one for each domain, and takes the
    mean's for the unknown one.
    """
    domains = int(train.domain.max()) + 1
    pooled, name = _best(storage, train, search, list(range(domains)), budget)
    if not per_domain:
        return Tuned(np.full(domains + 1, pooled), (name,))
    each = [_best(storage, train, search, [one], budget) for one in range(domains)]
    return Tuned(np.array([best for best, _ in each] + [pooled]), (*(own for _, own in each), name))


def _best(storage: Path, train: Train, search: Search, domains: list[int], budget: Budget) -> tuple[int, str]:
    """The best action for the mean over these domains, and the name of the study that found it."""
    if budget == "judged":
        judged = [_judged(train, search, one) for one in domains]

        def judge(action: int, trial: int) -> float:
            return float(np.mean([train.rewards[queries, action].mean() for queries in judged]))

        trials, objective = len(train.actions), judge
    else:

        def pull(action: int, trial: int) -> float:
            random = np.random.default_rng([search.seed, trial, *domains])
            drawn = [random.choice(np.flatnonzero(train.domain == one), search.pulls_per_trial) for one in domains]
            return float(np.mean([train.rewards[queries, action].mean() for queries in drawn]))

        trials, objective = search.per_domain // search.pulls_per_trial, pull
    what = f"{budget}-{'-'.join(map(str, domains))}-{'-'.join(map(str, search))}-{train.identity}"
    name = f"static-{budget}-{hashlib.sha256(what.encode()).hexdigest()[:24]}"
    tried = run(storage, name, train.actions, objective, trials, search.seed, grid=budget == "judged")
    means = {action: np.mean(values) for action, values in tried.items()}
    best = max(means, key=lambda action: (round(float(means[action]), 9), -abs(train.actions[action] - 0.5)))
    return best, name


def _judged(train: Train, search: Search, domain: int) -> Int[np.ndarray, " judged"]:
    """The queries judged in a domain: as many as the budget holds, each once."""
    members = np.flatnonzero(train.domain == domain)
    random = np.random.default_rng([search.seed, domain])
    return random.permutation(members)[: search.per_domain]


def _connect(storage: Path) -> sqlite3.Connection:
    """SQLite with a write-ahead log: survives being killed as before, and waits for the disk far less."""
    connection = sqlite3.connect(storage, timeout=60, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def run(
    storage: Path,
    name: str,
    actions: Float[np.ndarray, " A"],
    objective: Callable[[int, int], float],
    trials: int,
    seed: int,
    *,
    grid: bool,
) -> dict[int, list[float]]:
    """Bring the study `name` to `trials` finished trials; the rewards seen, by action.

    objective(action, trial number) -> reward, to be maximised, and the same whenever it is asked again.
    """
    import optuna
    from optuna.trial import Trial, TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    choices = [float(alpha) for alpha in actions]

    def sampler(trial: int) -> Any:
        return optuna.samplers.TPESampler(seed=int(np.random.SeedSequence([seed, trial]).generate_state(1)[0]))

    study = optuna.create_study(
        storage=optuna.storages.RDBStorage(
            f"sqlite:///{storage}", engine_kwargs={"creator": partial(_connect, storage)}
        ),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=sampler(0),
    )
    if grid:  # by queue, because GridSampler ends a study from within, which ask and tell do not allow
        for alpha in choices:
            study.enqueue_trial({"alpha": alpha}, skip_if_exists=True)

    def finish(trial: Trial) -> None:
        alpha = trial.suggest_float("alpha", choices[0], choices[-1], step=choices[1] - choices[0])
        action = int(np.abs(actions - alpha).argmin())
        study.tell(trial, objective(action, trial.number))

    # A trial that an interruption left open is finished as it would have been, not skipped.
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.sampler = sampler(frozen.number)
        finish(Trial(study, frozen._trial_id))
    for number in range(len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))), trials):
        study.sampler = sampler(number)
        finish(study.ask())

    seen: dict[int, list[float]] = {}
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if frozen.value is not None:
            seen.setdefault(int(np.abs(actions - frozen.params["alpha"]).argmin()), []).append(frozen.value)
    return seen
