"""Samplers and pruners by the name that Optuna gives them, their arguments checked against its signatures."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from rag_lab import wiring
from rag_lab.errors import ConfigError

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

SEED = "seed"
# What an argument can be in YAML; others are objects or functions, which it cannot say.
TYPES: Mapping[Any, Any] = {
    **{kind: kind for kind in (int, float, bool, str)},
    **{kind.__name__: kind for kind in (int, float, bool, str)},
    **{f"{kind.__name__} | None": kind | None for kind in (int, float, bool, str)},
    "str | int": str | int,
}
WRAPPED = "BasePruner | None"


class Seeded:
    """A sampler whose randomness in every trial comes from (seed, trial number), not from who asks, or when.

    make: the sampler for a seed. Else it is the sampler itself.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(seed)

    def before_trial(self, study: Any, trial: Any) -> None:
        """Optuna's first call in every trial."""
        self._sampler = self._make(int(np.random.SeedSequence([self._seed, trial.number]).generate_state(1)[0]))
        self._sampler.before_trial(study, trial)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)


def sampler(node: Mapping[str, Any], seed: int, where: str) -> Any:
    """The sampler of a node; ConfigError with Optuna's names where it names none, or an argument cannot be."""
    from optuna import samplers

    if SEED in node:
        raise ConfigError(f"{where}.{SEED}: comes from hydra.sweeper.seed; give that one")
    kind, arguments = _named(node, samplers, samplers.BaseSampler, where)

    def make(number: int) -> Any:
        return _made(kind, {**arguments, SEED: number}, where)

    # A quasi-random sequence is one for all trials.
    return make(seed) if issubclass(kind, samplers.QMCSampler) else Seeded(make, seed)


def pruner(node: Mapping[str, Any], where: str) -> BasePruner:
    """The pruner of a node; errors as for `sampler`."""
    from optuna import pruners

    kind, arguments = _named(node, pruners, pruners.BasePruner, where)
    return _made(kind, arguments, where)


def _named(node: Mapping[str, Any], module: ModuleType, base: type, where: str) -> tuple[Any, dict[str, Any]]:
    """The class that a node names, and its arguments."""
    name = str(node.get(wiring.TARGET, ""))
    allowed = {f"{module.__name__}.{one}": getattr(module, one) for one in module.__all__}
    allowed = {one: kind for one, kind in allowed.items() if _can_be_built(kind, base)}
    if name not in allowed:
        raise ConfigError(wiring.unknown(f"{where}.{wiring.TARGET}={name}", name, sorted(allowed)))
    known = _parameters(allowed[name])
    arguments: dict[str, Any] = {}
    for key, value in node.items():
        place = f"{where}.{key}"
        if key == wiring.TARGET:
            continue
        if key not in known:
            raise ConfigError(wiring.unknown(place, key, sorted(set(known) - {SEED})))
        if known[key] == WRAPPED and isinstance(value, Mapping):
            arguments[key] = pruner(value, place)
        elif value is None or known[key] in TYPES:
            arguments[key] = None if value is None else wiring.check(value, TYPES[known[key]], place)
        else:
            raise ConfigError(f"{place}: takes an object, which a configuration cannot hold; leave it out")
    return allowed[name], arguments


def _can_be_built(kind: Any, base: type) -> bool:
    """Whether a class can be made from a configuration: a pruner, or a sampler that needs a seed and no more."""
    if not inspect.isclass(kind) or not issubclass(kind, base) or inspect.isabstract(kind):
        return False
    needed = [one for one in inspect.signature(kind).parameters.values() if one.default is one.empty]
    sampled = base.__name__ == "BaseSampler"
    return not sampled or (SEED in _parameters(kind) and not needed)


def _parameters(kind: Any) -> dict[str, Any]:
    """A class's arguments with their annotations."""
    parameters = inspect.signature(kind).parameters.values()
    return {one.name: one.annotation for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}


def _made(kind: Any, arguments: Mapping[str, Any], where: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, that an argument is experimental
        try:
            return kind(**arguments)
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError(f"{where}: {kind.__name__}: {' '.join(str(error).split())}") from error
