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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from pydantic import BaseModel, ConfigDict, Field

from rag_lab.l4_feedback.policy import Budget


class Span(BaseModel):
    """Between which ends a setting is looked for, and whether its logarithm is (or its size) even."""

    model_config = ConfigDict(extra="forbid")
    low: float
    high: float
    log: bool = False


class Policies(NamedTuple):
    """How the settings of policies are tuned; see `build`."""

    trials: int
    seeds: int
    spaces: Mapping[str, Mapping[str, Span]]


class Search(NamedTuple):
    """How to tune. per_domain: queries (judged) or pulls, for each domain; pulls_per_trial: of one domain.
    policies: how the settings of policies are tuned (`rag_lab.tuning`)."""

    per_domain: int
    pulls_per_trial: int
    seed: int
    policies: Policies | None = None


def build(
    *,
    pulls_per_trial: Annotated[int, Field(ge=1)],
    trials: Annotated[int, Field(ge=0)],
    seeds: Annotated[int, Field(ge=1)],
    spaces: dict[str, dict[str, Span]],
) -> Callable[[int, int], Search]:
    """Returns (budget for each domain, seed) -> Search.

    pulls_per_trial: queries of each domain that a trial of the tuned references buys, where every pull counts.
    trials: of each policy's own settings, 0 for none; seeds: bandits played in a trial; spaces: of each policy
    by its standing name, the settings tuned and between which ends.
    """
    policies = Policies(trials, seeds, spaces)
    return lambda per_domain, seed: Search(per_domain, min(pulls_per_trial, per_domain), seed, policies)


class Train(NamedTuple):
    """What there is to tune on. rewards: of every action on every train query; domain: each query's domain
    index, 0 … D − 1, every one of which has a query; actions: the α of each; identity: a hash of what the rewards
    depend on; labels: the actions' names where α does not tell them apart."""

    rewards: Float[np.ndarray, "Q A"]
    domain: Int[np.ndarray, " Q"]
    actions: Float[np.ndarray, " A"]
    identity: str
    labels: tuple[str, ...] | None = None


class Tuned(NamedTuple):
    """actions: the best one in each context; studies: the names under which the searches are kept."""

    actions: Int[np.ndarray, " C"]
    studies: tuple[str, ...]


def tune(storage: Path, train: Train, search: Search, per_domain: bool, budget: Budget) -> Tuned:
    """The best action in every context: domains in order, then the one for an unknown domain.

    per_domain=False finds one action for the mean over domains; True finds one for each domain.
    """
    domains = range(int(train.domain.max()) + 1)
    if not per_domain:
        means, name = _tried(storage, train, search, list(domains), budget)
        return Tuned(np.full(len(domains) + 1, _best(means, train.actions)), (name,))
    each = [_tried(storage, train, search, [domain], budget) for domain in domains]
    # The unknown domain costs no further budget: its action is the best for the mean of what was bought anyway.
    shared = set.intersection(*(set(means) for means, _ in each))
    pooled = {action: float(np.mean([means[action] for means, _ in each])) for action in shared}
    chosen = [_best(means, train.actions) for means, _ in each]
    unknown = _best(pooled, train.actions) if pooled else int(np.median(chosen))
    return Tuned(np.array([*chosen, unknown]), tuple(name for _, name in each))


def _best(means: Mapping[int, float], actions: Float[np.ndarray, " A"]) -> int:
    """The action with the best mean reward; ties to the α nearest 0.5."""
    return max(means, key=lambda action: (round(means[action], 9), -abs(actions[action] - 0.5)))


def _tried(
    storage: Path, train: Train, search: Search, domains: list[int], budget: Budget
) -> tuple[dict[int, float], str]:
    """Mean reward of every action tried, as a mean over these domains, and the name of the study that tried."""
    if budget == "judged":
        judged = [judged_queries(train.domain, search, domain) for domain in domains]

        def judge(action: int, trial: int) -> float:
            return float(np.mean([train.rewards[queries, action].mean() for queries in judged]))

        trials, objective = len(train.actions), judge
    else:

        def pull(action: int, trial: int) -> float:
            random = np.random.default_rng([search.seed, trial, *domains])
            left = search.per_domain - trial * search.pulls_per_trial
            size = min(search.pulls_per_trial, left)
            drawn = [random.choice(np.flatnonzero(train.domain == domain), size) for domain in domains]
            return float(np.mean([train.rewards[queries, action].mean() for queries in drawn]))

        trials, objective = -(-search.per_domain // search.pulls_per_trial), pull
    what = f"{budget}-{'-'.join(map(str, domains))}-{'-'.join(map(str, search[:3]))}-{train.identity}"
    name = f"static-{budget}-{hashlib.sha256(what.encode()).hexdigest()[:24]}"
    with alone(storage):
        choices = train.actions if train.labels is None else train.labels
        tried = run(storage, name, choices, objective, trials, search.seed, grid=budget == "judged")
    return {action: float(np.mean(values)) for action, values in tried.items()}, name


@contextmanager
def alone(storage: Path) -> Iterator[None]:
    """Wait until no other process tunes: it would take this one's open trial for one left by an interruption.

    The lock is a transaction on a file of its own, which ends with the process however that ends.
    """
    storage.parent.mkdir(parents=True, exist_ok=True)
    lock = sqlite3.connect(storage.with_suffix(".lock"), timeout=600, isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.close()


def judged_queries(domains: Int[np.ndarray, " Q"], search: Search, domain: int) -> Int[np.ndarray, " judged"]:
    """The queries judged in a domain: as many as the budget holds, each once."""
    members = np.flatnonzero(domains == domain)
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
    choices: Float[np.ndarray, " A"] | Sequence[str],
    objective: Callable[[int, int], float],
    trials: int,
    seed: int,
    *,
    grid: bool,
) -> dict[int, list[float]]:
    """Bring the study `name` to `trials` finished trials; the rewards seen, by action.

    choices: what is suggested for each action, its α or its name. objective(action, trial number) -> reward, to be
    maximised, and the same whenever it is asked again. grid: every choice is tried once, in order.
    """
    if isinstance(choices, np.ndarray):
        alphas = np.asarray(choices, np.float64)
        key, values = "alpha", alphas.tolist()

        def suggest(trial: Any) -> dict[str, Any]:
            return {key: trial.suggest_float(key, values[0], values[-1], step=values[1] - values[0])}

        def index(parameters: Mapping[str, Any]) -> int:
            return int(np.abs(alphas - parameters[key]).argmin())
    else:
        key, values = "action", list(choices)

        def suggest(trial: Any) -> dict[str, Any]:
            return {key: trial.suggest_categorical(key, values)}

        def index(parameters: Mapping[str, Any]) -> int:
            return values.index(parameters[key])

    done = bring(
        storage,
        name,
        suggest,
        lambda parameters, trial: objective(index(parameters), trial),
        trials,
        seed,
        queue=[{key: value} for value in values] if grid else [],
    )
    seen: dict[int, list[float]] = {}
    for parameters, value in done:
        seen.setdefault(index(parameters), []).append(value)
    return seen


def bring(
    storage: Path,
    name: str,
    suggest: Callable[[Any], dict[str, Any]],
    objective: Callable[[dict[str, Any], int], float],
    trials: int,
    seed: int,
    queue: Sequence[Mapping[str, Any]] = (),
) -> list[tuple[dict[str, Any], float]]:
    """Bring the study `name` to `trials` finished trials; the parameters and values of all, in order.

    suggest(trial) -> parameters; objective(parameters, trial number) -> value, to be maximised, and the same whenever
    it is asked again. queue: parameters to be tried first.
    """
    import optuna
    from optuna.trial import Trial, TrialState

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)

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
    # By queue, because GridSampler ends a study from within, which ask and tell do not allow.
    for parameters in queue:
        study.enqueue_trial(dict(parameters), skip_if_exists=True)

    def finish(trial: Trial) -> None:
        study.tell(trial, objective(suggest(trial), trial.number))

    # A trial that an interruption left open is finished as it would have been, not skipped.
    for frozen in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.sampler = sampler(frozen.number)
        finish(Trial(study, frozen._trial_id))
    for number in range(len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))), trials):
        study.sampler = sampler(number)
        finish(study.ask())
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return [(frozen.params, frozen.value) for frozen in complete if frozen.value is not None]
