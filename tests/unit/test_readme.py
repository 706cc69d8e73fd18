"""The README says what is true."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from rag_lab.report import run, terminal

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_quick_start_holds_exactly_two_commands() -> None:
    section = README.partition("## Quick start")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    assert len(blocks) == 2
    assert "+experiment=week2" in blocks[0]
    assert "pytest" in blocks[1]


def test_the_output_shown_is_that_of_the_adopted_run() -> None:
    screen = io.StringIO()
    terminal.show(run.load(ROOT / "runs" / "reference" / "week2" / "packaged"), Console(file=screen, width=100))
    shown = README.partition("```text\n")[2].partition("```")[0].splitlines()
    printed = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert shown[: len(printed)] == printed


def test_every_file_that_it_names_exists() -> None:
    for name in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / name).exists(), name
