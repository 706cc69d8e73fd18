"""What is installed is whole: a wheel built from the checkout, in an environment that knows nothing of it.

Its dependencies are borrowed from the tests' own environment: a path file puts that environment's packages on the
new one's path, but not what is installed there in editable form.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import optuna
import pytest
from command import LIMIT_S, ROOT, SMALL, WEEK2, Done, environment

pytestmark = pytest.mark.network  # to build needs hatchling, to run needs the encoder's weights


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT]
    subprocess.run(build, check=True, timeout=LIMIT_S, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """The command of an environment that has the wheel."""
    home = wheel.parent / "environment"
    venv.create(home, symlinks=True)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    install = [sys.executable, "-m", "pip", "--python", home, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, timeout=LIMIT_S, cwd=home)
    return home / "bin" / "rag-lab"


def test_a_wheel_holds_the_configuration_and_the_plugin_where_hydra_finds_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for path in (ROOT / "conf").rglob("*.yaml"):
        assert f"rag_lab/conf/{path.relative_to(ROOT / 'conf')}" in names
    assert "hydra_plugins/optuna_sweeper.py" in names and "hydra_plugins/__init__.py" not in names
    assert not any(name.startswith("rag_lab/plugins") for name in names)


def test_a_sweep_runs_from_a_wheel(installed: Path, little: Path, tmp_path: Path) -> None:
    arguments = (
        "--multirun", "hydra/sweeper=optuna", WEEK2, "data=beir", f"data.domains.law={little}", "tracking=jsonl",
        "references=[bm25]", *SMALL, "policy.prior_strength=interval(0.1,50)", "hydra.sweeper.n_trials=2",
        "hydra.sweeper.study_name=wheel",
    )  # fmt: skip
    ended = subprocess.run(
        [installed, *arguments], cwd=tmp_path, env=environment(), text=True, capture_output=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    done = Done(ended.returncode, ended.stdout, ended.stderr, tmp_path)
    assert (done.status, done.stderr) == (0, ""), done.stderr
    assert "study wheel: 2 complete" in done.stdout
    trials = optuna.load_study(study_name="wheel", storage=f"sqlite:///{tmp_path / 'runs' / 'sweeps.db'}").trials
    assert [one.state.name for one in trials] == ["COMPLETE"] * 2
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "reports"}


def test_the_wheel_is_what_ran(installed: Path, tmp_path: Path) -> None:
    """And not the checkout, nor its configuration."""
    code = "import rag_lab, hydra_plugins.optuna_sweeper as one, rag_lab.config; " \
        "print(rag_lab.__file__, one.__file__, rag_lab.config.folder())"  # fmt: skip
    python = installed.with_name("python")
    done = subprocess.run([python, "-c", code], cwd=tmp_path, text=True, capture_output=True, check=True)
    assert all(path.startswith(str(installed.parent.parent)) for path in done.stdout.split()), done.stdout
