"""MLflow's stores: made, moved, out of reach, behind a server; and what a user sees of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracked import RECALL, REGRET, children, client, new_run, new_tracker

from rag_lab.errors import ConfigError
from rag_lab.tracking import mlflow as tracking
from rag_lab.tracking import mlflow_store


@pytest.fixture(autouse=True)
def no_store_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_open_command_is_relative_where_it_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    expected = ".venv/bin/python -m mlflow ui --backend-store-uri sqlite:///runs/mlflow.db"
    assert new_tracker().open_command() == expected
    away = tracking.build(store=f"sqlite:///{tmp_path}/runs/my.db", artifacts="runs/artifacts", curve_points=2)
    assert away.open_command().endswith("sqlite:///runs/my.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@mlflow.example")
    assert new_tracker().open_command() == '.venv/bin/python -m webbrowser "$MLFLOW_TRACKING_URI"'


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://me:secret@127.0.0.1:{port}", "Connection refused"),
        ("postgresql://me:secret@127.0.0.1:{port}/mlflow", "psycopg|Connection refused"),
        ("no-such-scheme://me:secret@host", "no-such-scheme"),
        ("sqlite:////proc/nowhere/mlflow.db", "/proc/nowhere"),
        ("sqlite:///{folder}/broken.db", "not a database"),
        ("{folder}/mlruns", "maintenance mode"),
    ],
)
def test_a_store_that_cannot_be_used_is_said_soon_and_in_one_line(
    uri: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.db").write_text("this is no database, but long enough to be looked at" * 99)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri.format(port=port, folder=tmp_path))
    started = time.monotonic()
    with pytest.raises(ConfigError, match=reason) as raised:
        new_tracker().start(new_run())
    assert time.monotonic() - started < 10
    assert "\n" not in str(raised.value)
    assert "tracking=jsonl" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert capfd.readouterr() == ("", "")
    assert [entry.name for entry in tmp_path.iterdir()] == ["broken.db"]


def test_an_interrupted_creation_leaves_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow.store.db.utils as migrations

    def interrupt(engine: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "_upgrade_db", interrupt)
        with pytest.raises(KeyboardInterrupt):
            new_tracker().start(new_run())
    assert list((tmp_path / "runs").iterdir()) == []


def test_a_store_is_never_replaced_and_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    new_tracker().start(new_run())

    # Another process made it while we did.
    before = (tmp_path / "runs" / "mlflow.db").read_bytes()
    mlflow_store._create(tmp_path / "runs" / "mlflow.db", tmp_path / "runs" / "artifacts")
    assert (tmp_path / "runs" / "mlflow.db").read_bytes() == before
    assert [entry.name for entry in (tmp_path / "runs").iterdir()] == ["mlflow.db"]

    # Moved, its experiments point to where they were: the run is recorded, its files stay in its folder.
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "runs").rename(moved / "runs")
    (moved / "summary.json").touch()
    monkeypatch.chdir(moved)
    tracker = new_tracker()
    run_id = tracker.start(new_run())
    tracker.finish({}, moved, "finished")
    assert client().get_run(run_id).info.status == "FINISHED"
    assert not (tmp_path / "runs").exists()


def test_importing_and_building_is_cheap_and_using_is_quiet(tmp_path: Path) -> None:
    """In a process of its own: not under pytest, where MLflow would switch its telemetry off by itself."""
    script = """
import sys
from pathlib import Path
from rag_lab.tracking import mlflow as tracking
from rag_lab.tracking.tracker import DatasetInfo, RunInfo
tracker = tracking.build(store="sqlite:///runs/mlflow.db", artifacts="runs/artifacts", curve_points=9)
tracker.open_command()
assert not {"mlflow", "sqlalchemy", "pandas"} & set(sys.modules)
Path("summary.json").touch()
tracker.start(RunInfo("week2", "name", Path("runs"), {"a": 1}, {}, DatasetInfo("data", "0" * 64, "x", {})))
tracker.variants({"static": {"recall": 0.5}}, {}, None)
tracker.finish({}, Path(), "finished")
from mlflow.telemetry import get_telemetry_client
assert get_telemetry_client() is None
"""
    kept = {"PATH", "HOME", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE"}
    env = {name: value for name, value in os.environ.items() if name in kept}
    root = Path(tracking.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of an MLflow server with a store and a place for files of its own."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    home = tmp_path / "server"
    home.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--backend-store-uri", "sqlite:///server.db"],
            cwd=home,
            stdout=log,
            stderr=log,
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},  # starts sooner
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    break
            except OSError:
                assert process.poll() is None, (tmp_path / "server.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "server.log").read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_a_server_takes_the_run_and_its_files(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "summary.json").write_text("{}")
    monkeypatch.chdir(here)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker = new_tracker()
    run_id = tracker.start(new_run())
    tracker.variants({"static": {RECALL: 0.5}}, {}, None)
    tracker.curve("static", REGRET, [1, 2], [0.1, 0.2])
    tracker.finish({RECALL: 0.5}, here, "finished")
    assert client().get_run(run_id).data.metrics == {RECALL: 0.5}
    assert children(run_id)["static"].data.metrics == {RECALL: 0.5, REGRET: 0.2}
    assert [file.path for file in client().list_artifacts(run_id)] == ["summary.json"]
    assert [entry.name for entry in here.iterdir()] == ["summary.json"]
    assert capfd.readouterr() == ("", "")


def test_a_silent_server_is_waited_for_as_long_as_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
        started = time.monotonic()
        with pytest.raises(ConfigError, match="timed out"):
            new_tracker().start(new_run())
    assert 1 < time.monotonic() - started < 10
