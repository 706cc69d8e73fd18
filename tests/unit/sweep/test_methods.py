"""Samplers and pruners by name: the files of conf/, what is refused, chance that comes from the trial alone."""

from __future__ import annotations

import inspect
from typing import Any

import optuna
import pytest
import yaml

from rag_lab import config
from rag_lab.errors import ConfigError
from rag_lab.sweep import methods

FOLDER = config.folder() / "hydra" / "sweeper"
TPE = "optuna.samplers.TPESampler"


def node(kind: str, name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / kind / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(path.stem for path in (FOLDER / "sampler").glob("*.yaml")))
def test_every_sampler_s_file_is_one_of_optuna_s_and_says_what_it_is(name: str) -> None:
    one = methods.sampler(node("sampler", name), 0, "where")
    inner = one._sampler if isinstance(one, methods.Seeded) else one
    assert type(inner) is getattr(optuna.samplers, node("sampler", name)["_target_"].rpartition(".")[2])
    assert (FOLDER / "sampler" / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("name", sorted(path.stem for path in (FOLDER / "pruner").glob("*.yaml")))
def test_every_pruner_s_file_is_one_of_optuna_s_and_says_what_it_is(name: str) -> None:
    one = methods.pruner(node("pruner", name), "where")
    assert type(one) is getattr(optuna.pruners, node("pruner", name)["_target_"].rpartition(".")[2])
    assert (FOLDER / "pruner" / f"{name}.yaml").read_text(encoding="utf-8").startswith("# ")


def test_arguments_arrive() -> None:
    one = methods.sampler({"_target_": TPE, "n_startup_trials": "3", "prior_weight": None}, 0, "where")
    assert one._sampler._n_startup_trials == 3
    wrapped = {"_target_": "optuna.pruners.ThresholdPruner", "upper": 2}
    patient = methods.pruner(
        {"_target_": "optuna.pruners.PatientPruner", "patience": 4, "wrapped_pruner": wrapped}, "where"
    )
    assert isinstance(patient._wrapped_pruner, optuna.pruners.ThresholdPruner)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (
            {"_target_": "optuna.samplers.TPE"},
            "did you mean 'optuna.samplers.TPESampler'. allowed: .*RandomSampler",
        ),
        ({"_target_": "os.system"}, r"w\._target_=os.system: no such name; allowed: optuna.samplers"),
        ({"_target_": "optuna.samplers.GridSampler"}, "no such name"),  # it wants the space once more
        ({"_target_": "optuna.samplers.BaseSampler"}, "no such name"),
        ({}, r"w\._target_=: no such name"),
        ({"_target_": TPE, "startup": 1}, "w.startup: no such name; .*allowed: .*n_startup_trials"),
        ({"_target_": TPE, "n_startup_trials": "many"}, "w.n_startup_trials: given 'many'; .*integer"),
        ({"_target_": TPE, "gamma": 0.3}, "w.gamma: takes an object"),
        ({"_target_": TPE, "seed": 3}, "w.seed: comes from hydra.sweeper.seed"),
        ({"_target_": "optuna.samplers.QMCSampler", "qmc_type": "x"}, "w: QMCSampler: .*halton.*sobol"),
    ],
)
def test_a_sampler_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        methods.sampler(given, 0, "w")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"_target_": "optuna.pruners.Median"}, "did you mean 'optuna.pruners.MedianPruner'"),
        ({"_target_": "optuna.pruners.PercentilePruner"}, "w: PercentilePruner: .*'percentile'"),
        ({"_target_": "optuna.pruners.PatientPruner", "patience": 1, "wrapped_pruner": {"_target_": "x"}},
         r"w.wrapped_pruner._target_=x: no such name"),
    ],
)  # fmt: skip
def test_a_pruner_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        methods.pruner(given, "w")


def test_the_names_allowed_are_all_that_a_configuration_can_make() -> None:
    """Every sampler with a seed but those that need an object: none is forgotten when Optuna adds one."""
    with pytest.raises(ConfigError) as raised:
        methods.sampler({"_target_": ""}, 0, "w")
    allowed = str(raised.value).partition("allowed: ")[2].split(", ")
    concrete = {
        f"optuna.samplers.{name}"
        for name in optuna.samplers.__all__
        if inspect.isclass(getattr(optuna.samplers, name)) and not inspect.isabstract(getattr(optuna.samplers, name))
    }
    assert (
        concrete - set(allowed)
        == {f"optuna.samplers.{name}" for name in ("BaseGASampler", "GridSampler", "PartialFixedSampler")} & concrete
    )


SPACE = {"x": optuna.distributions.FloatDistribution(0, 1), "y": optuna.distributions.FloatDistribution(0, 1)}


def suggested(study: optuna.Study) -> list[dict[str, Any]]:
    return [one.params for one in study.get_trials(deepcopy=False)]


@pytest.mark.parametrize("name", ["random", "tpe", "nsgaii"])
def test_what_a_trial_gets_depends_on_its_number_and_not_on_who_asks(name: str) -> None:
    def asked(anew_at: int, seed: int = 5) -> list[dict[str, Any]]:
        study = optuna.create_study(sampler=methods.sampler(node("sampler", name), seed, "w"))
        for number in range(14):
            if number == anew_at:
                study.sampler = methods.sampler(node("sampler", name), seed, "w")
            trial = study.ask(SPACE)
            study.tell(trial, trial.params["x"] - trial.params["y"])
        return suggested(study)

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    whole = asked(anew_at=-1)
    assert asked(anew_at=3) == asked(anew_at=12) == whole != asked(anew_at=-1, seed=6)
    assert len({one["x"] for one in whole}) == 14


def test_a_quasi_random_sequence_is_one_whoever_asks() -> None:
    def points(samplers: int) -> list[tuple[float, float]]:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=methods.sampler(node("sampler", "qmc"), 5, "w"))
        made = [methods.sampler(node("sampler", "qmc"), 5, "w") for _ in range(samplers)]
        for number in range(17):
            study.sampler = made[number % samplers]
            study.tell(study.ask(SPACE), 0.0)
        return [(one["x"], one["y"]) for one in suggested(study)][1:]

    one, three = points(1), points(3)
    assert one == three
    # A Sobol sequence: of its first 16 points every sixteenth of each axis holds just one.
    for axis in range(2):
        assert sorted(int(point[axis] * 16) for point in one) == list(range(16))
