"""The runs that the integration tests share, and small collections of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from collection import Folder, sentences
from command import SMALL, WEEK2, Done, Warm, Workplace

DOMAINS = {"healthcare": "scifact", "finance": "fiqa", "general": "boolq"}
PACKAGED = (WEEK2, "data.max_passages=600", "data.max_queries=90", *SMALL)
CUT = ("data.max_passages=1200", "data.max_queries=240")


def beir_options(shared: Path, domains: dict[str, str]) -> tuple[str, ...]:
    """The options that name public collections, with their precomputed vectors."""
    data = [f"data.domains.{domain}={shared / name}" for domain, name in domains.items()]
    vectors = [f"encoder.domains.{domain}={shared.parent / 'vectors' / name}" for domain, name in domains.items()]
    return (WEEK2, "data=beir", *data, "encoder=vectors", *vectors)


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of pytest-xdist's processes."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Runs command lines that are refused before any work starts; see `command.Warm`."""
    process = Warm()
    yield process
    process.close()


@pytest.fixture(scope="session")
def default_place(session_folder: Path) -> Workplace:
    """Where the default data is used."""
    return Workplace(session_folder / "default")


@pytest.fixture(scope="session")
def beir_place(session_folder: Path) -> Workplace:
    """Where a cut of public collections is used."""
    return Workplace(session_folder / "beir")


@pytest.fixture(scope="session")
def cut(shared_data: Path) -> tuple[str, ...]:
    """The options of the runs in `beir_place`."""
    return (*beir_options(shared_data, DOMAINS), *CUT, *SMALL)


@pytest.fixture(scope="session")
def packaged(default_place: Workplace) -> Done:
    """The README's command, made small."""
    return default_place("first", *PACKAGED)


@pytest.fixture(scope="session")
def again(default_place: Workplace, packaged: Done) -> Done:
    """The same once more, recorded in a store that the environment names, every warning being an error."""
    store = default_place.folder.with_name("other-store.db")
    return default_place("again", *PACKAGED, env={"MLFLOW_TRACKING_URI": f"sqlite:///{store}"}, flags=("-W", "error"))


@pytest.fixture(scope="session")
def sweep(default_place: Workplace, packaged: Done) -> Done:
    """The contract's example of a multirun."""
    return default_place("sweep", "--multirun", *PACKAGED, "policy=static,thompson", "seed=0,1")


@pytest.fixture(scope="session")
def beir(beir_place: Workplace, cut: tuple[str, ...]) -> Done:
    """The same experiment on a cut of public collections, by precomputed vectors."""
    return beir_place("first", *cut, "tracking=jsonl")


@pytest.fixture(params=["packaged", pytest.param("beir", marks=pytest.mark.shared_data)])
def finished(request: pytest.FixtureRequest) -> Done:
    """A run that has ended well: each of the two."""
    done: Done = request.getfixturevalue(request.param)
    assert done.status == 0, done.stderr
    return done


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A sound little collection of 40 passages and 20 queries."""
    return Folder(tmp_path / "collection", sentences(40), 20)


@pytest.fixture(scope="session")
def little(session_folder: Path) -> Path:
    """A sound little collection that nobody spoils."""
    path = session_folder / f"collection-{os.getpid()}"
    Folder(path, sentences(40), 20)
    return path


@pytest.fixture(scope="session")
def little_run(session_folder: Path, little: Path, warm: Warm) -> Callable[..., Done]:
    """Runs of the experiment on the little collection, in one workplace: (name, *options) -> the run."""
    place = Workplace(session_folder / "little")
    data = (WEEK2, "data=beir", f"data.domains.law={little}", *SMALL)
    return lambda name, *options: place(name, *data, "tracking=jsonl", *options, runner=warm)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """An empty working directory."""
    path = tmp_path / "here"
    path.mkdir()
    return path
