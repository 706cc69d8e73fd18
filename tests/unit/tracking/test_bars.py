"""Progress in a log file: a line for what is done, none for the parts of it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from rag_lab.tracking.progress import Bars


def test_a_log_has_a_line_for_the_outermost_bar_alone() -> None:
    screen = io.StringIO()
    bars = Bars(Console(file=screen, width=80), None)
    with bars("answer healthcare", 476, "queries") as bar:
        for _ in range(3):
            with bars("encode sentences", 64, "texts") as part:
                part.advance(64)
        bar.advance(476)
    with bars("play", 2, "seeds"):
        pass
    assert screen.getvalue().splitlines() == ["answer healthcare: 476 queries …", "play: 2 seeds …"]


def test_a_bar_that_ends_in_a_fault_is_over_too() -> None:
    screen = io.StringIO()
    bars = Bars(Console(file=screen, width=80), None)
    with pytest.raises(ZeroDivisionError), bars("first", 1, "queries"), bars("part", 1, "texts"):
        raise ZeroDivisionError
    with bars("second", 1, "queries"):
        pass
    assert screen.getvalue().splitlines() == ["first: 1 queries …", "second: 1 queries …"]
