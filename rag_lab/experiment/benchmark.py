"""How a benchmark measures: cells in which our program and its peers take turns in one process.

Every program runs once for its compilation and once for its result, which is checked before any time counts. Then
come rounds: each program in turn rests (so that other libraries' worker threads stop spinning), runs once
unmeasured if it is short, and is timed. A cell's numbers are medians over all rounds; a speed-up is the median of
the rounds' own ratios, so that a machine that slows down half way favours nobody. A failure stays in its cell.
"""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rag_lab.experiment import summary
from rag_lab.experiment.lab import Lab
from rag_lab.experiment.summary import Findings
from rag_lab.report import benchmark as report

Program = Callable[[], Any]
Seconds = Callable[[], float]
REPORTS = Path("reports/benchmarks")
OURS = "ours"
REPEATS = 50  # of one program in one turn, at most


class Cell(NamedTuple):
    """One comparison. check: of a result, ours or a peer's: None where it is right, else what is wrong with it.

    floors: times that nothing can beat: programs of which the quickest counts, or milliseconds. absent: peers that
    cannot take part, and why. units: how much work one call of a program does, by its name (OURS or a peer's), where
    they differ: times are then of one unit.
    """

    case: str
    size: Mapping[str, int]
    ours: Program
    peers: Mapping[str, Program]
    floors: Mapping[str, Sequence[Program] | float]
    check: Callable[[Any], str | None]
    absent: Mapping[str, str] = {}
    units: Mapping[str, float] = {}


class Effort(NamedTuple):
    """How long to measure a cell. turn_s: of one program in one round; rest_s: before each turn."""

    budget_s: float
    rounds: int
    turn_s: float
    rest_s: float


def threads() -> int:
    """Cores that this process may use; XLA, BLAS and OpenMP start as many threads unless told otherwise."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(lab: Lab, name: str, cells: Iterable[Cell], effort: Effort, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Measure every cell; the whole document. facts: what else a reader must know, as keys of their own."""
    document = {
        "name": name,
        "device": summary.device(),
        "threads": threads(),
        "versions": summary.versions() | _versions("jaxlib", "faiss-cpu", "onnxruntime", "moocore", "pymoo"),
        "git": summary.git(),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "effort": effort._asdict(),
        "cells": [],
    }
    for cell in cells:
        gc.collect()
        with lab.progress(f"measure {cell.case}", 1, "cells") as bar:
            document["cells"].append(measure(cell, effort))
            bar.advance()
        lab.events.emit("cell", **document["cells"][-1])
    return document


def measure(cell: Cell, effort: Effort, now: Seconds = time.perf_counter) -> dict[str, Any]:
    """One cell of the document; times are milliseconds, null where there is none."""
    row: dict[str, Any] = {"case": cell.case, "size": dict(cell.size), "ours_ms": None, "peers": {}, "floors": {}}
    left_out = dict(cell.absent)
    first_ms, error = _admit(cell.ours, cell.check, now)
    programs = {OURS: cell.ours}
    if error is None:
        for peer, program in cell.peers.items():
            wrong = _admit(program, cell.check, now)[1]
            if wrong is None:
                programs[peer] = program
            else:
                left_out[peer] = wrong
        try:
            taken = _rounds(programs | _floor_programs(cell), effort, now)
            row |= _figures(cell, list(programs)[1:], taken)
            row["compile_ms"] = max(first_ms - row["ours_ms"], 0.0)
        except Exception as failure:
            error = _line(failure)
    return row | {"correct": error is None, "error": error, "left_out": left_out}


def _admit(program: Program, check: Callable[[Any], str | None], now: Seconds) -> tuple[float, str | None]:
    """The first call's milliseconds, and why the program's time may not count, judged by its second result."""
    started = now()
    try:
        program()
        first_ms = (now() - started) * 1000
        wrong = check(program())
    except Exception as failure:
        return 0.0, _line(failure)
    return first_ms, None if wrong is None else f"wrong result: {wrong}"


def _floor_programs(cell: Cell) -> dict[str, Program]:
    """Every program that may stand for a floor, under a name that no peer has."""
    return {
        f"{floor} {number}": program
        for floor, given in cell.floors.items()
        if isinstance(given, Sequence)
        for number, program in enumerate(given)
    }


def _figures(cell: Cell, peers: list[str], taken: Mapping[str, list[list[float]]]) -> dict[str, Any]:
    """The cell's numbers from the seconds of every call."""
    taken = {one: [[s / cell.units.get(one, 1) for s in turn] for turn in turns] for one, turns in taken.items()}
    every = {one: np.concatenate(turns) * 1000 for one, turns in taken.items()}
    median = {one: float(np.median(times)) for one, times in every.items()}
    ours = np.array([np.median(turn) for turn in taken[OURS]])

    def against(one: str) -> float:
        return float(np.median(np.array([np.median(turn) for turn in taken[one]]) / ours))

    floors_ms, shares = {}, {}
    for floor, given in cell.floors.items():
        if isinstance(given, Sequence):
            quickest = min((f"{floor} {number}" for number in range(len(given))), key=median.__getitem__)
            floors_ms[floor], shares[floor] = median[quickest], against(quickest)
        else:
            floors_ms[floor], shares[floor] = float(given), float(given) / median[OURS]
    return {
        "ours_ms": median[OURS],
        "ours_p95_ms": float(np.quantile(every[OURS], 0.95)),
        "peers": {peer: median[peer] for peer in peers},
        "floors": floors_ms,
        "speedups": {peer: against(peer) for peer in peers},
        "floor_shares": shares,
        "quickest_ms": {one: float(times.min()) for one, times in every.items()},
        "samples": {one: len(times) for one, times in every.items()},
        "rounds": len(ours),
    }


def _rounds(programs: Mapping[str, Program], effort: Effort, now: Seconds) -> dict[str, list[list[float]]]:
    """Seconds of every timed call, by program and round: A B C, A B C, … until the budget is spent."""
    taken: dict[str, list[list[float]]] = {name: [] for name in programs}
    short = dict.fromkeys(programs, True)
    started = now()
    while len(taken[OURS]) < effort.rounds or now() - started < effort.budget_s:
        for name, program in programs.items():
            time.sleep(effort.rest_s)
            if short[name]:
                program()
            turn: list[float] = []
            while not turn or (sum(turn) < effort.turn_s and len(turn) < REPEATS):
                before = now()
                program()
                turn.append(now() - before)
            short[name] = turn[-1] < effort.turn_s
            taken[name].append(turn)
    return taken


def publish(document: Mapping[str, Any]) -> Findings:
    """Write the document under reports/, with table and picture; the run keeps it in its `curves.json`."""
    slug = re.sub(r"[^a-z0-9]+", "-", str(document["device"]).lower()).strip("-")
    stem = REPORTS / f"{document['name']}-{slug}"
    summary.write_json(stem.with_name(f"{stem.name}.json"), document)
    report.write(document, stem)
    wrong = [str(cell["case"]) for cell in document["cells"] if not cell["correct"]]
    notes = [f"{case}: {why}" for case, why in _absences(document).items()]
    notes += [f"Cells without a time, because they failed or were wrong: {', '.join(wrong)}."] if wrong else []
    notes.append(f"Written to {stem}.json, .md and .svg.")
    return summary.NOTHING._replace(metrics=_metrics(document), curves={"benchmark": document}, notes=notes)


def _absences(document: Mapping[str, Any]) -> dict[str, str]:
    """Each peer that was left out somewhere, and why."""
    return {peer: str(why) for cell in document["cells"] for peer, why in cell["left_out"].items()}


def _metrics(document: Mapping[str, Any]) -> dict[str, float]:
    """`<name>/<case>/…`: our time, and how many times as long each peer took."""
    metrics = {}
    for cell in document["cells"]:
        if cell["ours_ms"] is not None:
            prefix = f"{document['name']}/{cell['case']}"
            metrics[f"{prefix}/ours_ms"] = cell["ours_ms"]
            metrics |= {f"{prefix}/{peer}_speedup": value for peer, value in cell["speedups"].items()}
            metrics |= {f"{prefix}/{floor}_share": value for floor, value in cell["floor_shares"].items()}
    return metrics


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _line(failure: Exception) -> str:
    return f"{type(failure).__name__}: {' '.join(str(failure).split())}".rstrip(": ")
