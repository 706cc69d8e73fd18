"""What does a label buy? A bandit against Optuna's samplers at equal numbers of (query, action) rewards.

For each domain a search spends its pulls in trials of a few queries at one action, and would use the action with the
best mean so far; the bandit would use its greedy one. Told is what that action is truly worth on train, as a share of
the domain's best fixed action, after each number of pulls, mean over domains and repetitions.

Shapes: D domains, A actions, N numbers of pulls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int

from rag_lab import replay
from rag_lab.metrics import interval


def curves(
    path: replay.Path,
    stream: Int[np.ndarray, "S T"],
    world: replay.World,
    means: Float[np.ndarray, "D A"],
    *,
    pulls_per_trial: int,
    repetitions: int,
    seed: int,
) -> dict[str, Any]:
    """The bandit (its path) and the samplers `tpe`, `random` and `grid`; ready for JSON."""
    domains, actions = means.shape
    horizon = stream.shape[1] // domains
    pulls = np.arange(pulls_per_trial, horizon + 1, pulls_per_trial)
    best = means.max(axis=1)
    out: dict[str, Any] = {}
    if path.greedy is not None:
        every = horizon // path.greedy.shape[1]
        at = path.greedy[:, pulls // every - 1, :domains]
        share = np.stack([means[one][at[:, :, one]] / best[one] for one in range(domains)]).mean(axis=0)
        out["bandit"] = _band(share)
    searches: dict[str, Callable[[int, np.random.Generator], _Search]]
    searches = {"tpe": _Tpe, "random": _Random, "grid": _Grid}
    for name, search in searches.items():
        share = np.empty((repetitions, domains, len(pulls)))
        for repetition in range(repetitions):
            for one in range(domains):
                members = np.flatnonzero(world.domain == one)
                random = np.random.default_rng([seed, repetition, one])
                used = _spend(search(actions, random), world.rewards[members], pulls_per_trial, len(pulls), random)
                share[repetition, one] = means[one][used] / best[one]
        out[name] = _band(share.mean(axis=1))
    return {"pulls": pulls.tolist(), "repetitions": repetitions, "searches": out}


class _Search(Protocol):
    """Proposes actions, and hears what they were worth."""

    def ask(self) -> int: ...

    def tell(self, value: float) -> None: ...


class _Random:
    def __init__(self, actions: int, random: np.random.Generator) -> None:
        self.actions, self.random = actions, random

    def ask(self) -> int:
        return int(self.random.integers(self.actions))

    def tell(self, value: float) -> None:
        pass


class _Grid:
    def __init__(self, actions: int, random: np.random.Generator) -> None:
        self.order, self.trial = random.permutation(actions), 0

    def ask(self) -> int:
        self.trial += 1
        return int(self.order[(self.trial - 1) % len(self.order)])

    def tell(self, value: float) -> None:
        pass


class _Tpe:
    """Optuna's tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS), in memory."""

    def __init__(self, actions: int, random: np.random.Generator) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(seed=int(random.integers(2**31)))
        self.actions, self.study = actions, optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self) -> int:
        self.trial = self.study.ask()
        return int(self.trial.suggest_int("action", 0, self.actions - 1))

    def tell(self, value: float) -> None:
        self.study.tell(self.trial, value)


def _spend(
    search: _Search, rewards: Float[np.ndarray, "Q A"], size: int, trials: int, random: np.random.Generator
) -> Int[np.ndarray, " N"]:
    """The action that a search would use after each trial of `size` queries drawn with replacement."""
    seen: dict[int, list[float]] = {}
    used = []
    for _ in range(trials):
        action = search.ask()
        value = float(rewards[random.integers(len(rewards), size=size), action].mean())
        search.tell(value)
        seen.setdefault(action, []).append(value)
        used.append(max(seen, key=lambda one: float(np.mean(seen[one]))))
    return np.array(used)


def _band(values: Float[np.ndarray, "R N"]) -> dict[str, list[float]]:
    """Mean over repetitions, with the 95% interval of that mean."""
    return dict(zip(("mean", "low", "high"), (one.tolist() for one in interval.over_seeds(values)), strict=True))
