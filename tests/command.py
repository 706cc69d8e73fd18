"""The real command, run as a user runs it: a process of its own, in a folder of its own.

`run` starts `python -m rag_lab …`. `Warm` runs the same `main` in a fork of a process that has imported
everything already, which saves seconds where a test only looks at how a command line is refused. `Workplace`
keeps the runs that many tests look at: each is made once, whichever of pytest-xdist's processes comes first.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "runs" / ".cache" / "tests"
WEEK2 = "+experiment=week2"
# Small, but with all parts: one learner on a larger action set too, without searches of its settings.
SMALL = (
    "experiment.seeds=20", "experiment.resamples=200", "experiment.queries_per_domain=60", "policy=thompson",
    "search.trials=0", "experiment.robustness.policies=[]",
    "actions.rich=[{alpha: [0, 0.3, 0.5, 1], expansion: [none, rm3]}]",
)  # fmt: skip
LIMIT_S = 300
# Taken from the tests' own environment, they would change what is tested.
UNWANTED = ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "HYDRA_FULL_ERROR", "PYTHONWARNINGS", "COLUMNS")


class Done(NamedTuple):
    """A command that has ended."""

    status: int
    stdout: str
    stderr: str
    cwd: Path

    @property
    def folder(self) -> Path:
        """The run folder that it says it wrote."""
        found = re.search(r"^run folder +(\S+)", self.stdout, re.MULTILINE)
        assert found, f"no run folder named; status {self.status}\n{self.stdout}\n{self.stderr}"
        return self.cwd / found[1]

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "summary.json").read_text(encoding="utf-8"))

    @property
    def resolved(self) -> dict[str, Any]:
        return yaml.safe_load((self.folder / "resolved.yaml").read_text(encoding="utf-8"))


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """A command's environment. Where bytecode is not written, it is kept aside: importing takes half as long."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    if kept.pop("PYTHONDONTWRITEBYTECODE", None):
        kept.setdefault("PYTHONPYCACHEPREFIX", str(KEPT / "bytecode"))
    return kept | dict(changes or {})


def start(
    *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, flags: tuple[str, ...] = (), **pipes: Any
) -> subprocess.Popen[str]:
    """Start `python -m rag_lab …` and do not wait."""
    command = [sys.executable, *flags, "-m", "rag_lab", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=environment(env), text=True, **pipes)


def run(
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    flags: tuple[str, ...] = (),
    program: tuple[str, ...] = ("-m", "rag_lab"),
) -> Done:
    """Run `python -m rag_lab …`, or another program of this Python, to its end. flags: of Python itself."""
    done = subprocess.run(
        [sys.executable, *flags, *program, *arguments],
        cwd=cwd, env=environment(env), text=True, capture_output=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr, cwd)


class Warm:
    """A process that has imported the command, and runs it in forks of itself. Close it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), "serve"],
            env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __call__(self, *arguments: str, cwd: Path) -> Done:
        """Like `run`."""
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None and answered is not None
        assert self._process.poll() is None, "the warm process has ended; see stderr"
        with tempfile.TemporaryDirectory() as name:
            out, err = Path(name) / "out", Path(name) / "err"
            asked.write(json.dumps([list(arguments), str(cwd), str(out), str(err)]) + "\n")
            asked.flush()
            status = answered.readline()
            assert status, "the warm process has ended; see stderr"
            return Done(int(status), out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"), cwd)

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=LIMIT_S)
        self._process.stdout.close()


def _serve() -> None:
    """Fork once for every line of stdin, and answer with the exit status."""
    import warnings

    import rag_lab.cli
    import rag_lab.experiment  # noqa: F401 the heavy half of the command

    if sys.modules["jax._src.xla_bridge"].backends_are_initialized():
        sys.exit("importing the command starts JAX's backend: no fork of this process could use it")
    sys.path.pop(0)  # this file's folder, which `python -m rag_lab` would not have
    for line in sys.stdin:
        arguments, cwd, out, err = json.loads(line)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of JAX, that forking a process with threads is unsafe: none run yet
            child = os.fork()
        if child == 0:
            _become(arguments, cwd, out, err)
        print(_ended(child), flush=True)


def _ended(child: int) -> int:
    """The exit status of a fork; it is killed when it takes too long."""
    deadline = time.monotonic() + LIMIT_S
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _become(arguments: list[str], cwd: str, out: str, err: str) -> None:
    """In the fork: be `python -m rag_lab …`."""
    import traceback

    import rag_lab.cli

    status = 1
    try:
        os.chdir(cwd)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, path in ((sys.stdout, out), (sys.stderr, err)):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT)
            os.dup2(opened, stream.fileno())
        sys.argv = [str(ROOT / "rag_lab" / "__main__.py"), *arguments]
        rag_lab.cli.main()
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Workplace:
    """A working directory in which tests of all of pytest-xdist's processes share runs.

    One run at a time; a run is known by its name, and made by whoever asks for it first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._notes = folder, folder.with_name(f"{folder.name}.done")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._notes.mkdir(exist_ok=True)

    def __call__(self, name: str, *arguments: str, runner: Callable[..., Done] = run, **options: Any) -> Done:
        """The run of that name, with the arguments and options of `run`; runner: another that takes them."""
        note = self._notes / f"{name}.json"
        with (self._notes / "lock").open("w") as lock:
            _wait_for(lock)
            if not note.exists():
                done = runner(*arguments, cwd=self.folder, **options)
                note.write_text(json.dumps([done.status, done.stdout, done.stderr]), encoding="utf-8")
        return Done(*json.loads(note.read_text(encoding="utf-8")), self.folder)


def _wait_for(lock: IO[str]) -> None:
    fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed


def steady(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics without the machine's own, of which MLflow keeps the course and the summary the whole."""
    return {name: value for name, value in metrics.items() if not name.startswith("system/")}


def tree(folder: Path) -> set[str]:
    """Everything below a folder, hidden things too."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


if __name__ == "__main__":
    _serve()
