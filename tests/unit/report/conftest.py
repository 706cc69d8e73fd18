from __future__ import annotations

from pathlib import Path

import pytest
from unit.report.example_run import write_run

from rag_lab.report.run import Run, load


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run's folder."""
    return write_run(tmp_path / "runs" / "week2" / "20260115-020304")


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same, read, from a folder that no test changes."""
    return load(write_run(tmp_path_factory.mktemp("example") / "20260115-020304"))
