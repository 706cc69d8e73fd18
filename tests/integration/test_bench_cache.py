"""The cache's benchmark, made tiny, through the real command."""

from __future__ import annotations

import json
from pathlib import Path

from command import Warm, run, tree

TINY = ("experiment.budget_s=0", "experiment.rounds=2", "experiment.turn_s=0")
HITS = [f"{layer}_hit{suffix}" for layer in ("evidence", "embeddings", "explanations") for suffix in ("", "_memory")]


def test_every_cell_is_right_and_has_its_floor_and_its_peers(tmp_path: Path) -> None:
    done = run("+experiment=bench_cache", *TINY, "tracking=jsonl", cwd=tmp_path)
    assert done.status == 0, done.stderr
    (path,) = (tmp_path / "reports" / "benchmarks").glob("cache-*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    cells = {cell["case"]: cell for cell in document["cells"]}
    assert list(cells) == [*HITS, "evidence_miss", "embeddings_batch64"]
    assert all(cell["correct"] and cell["error"] is None and cell["ours_ms"] > 0 for cell in cells.values())
    assert "valkey" in document["server"] and "Unix socket" in document["server"]
    floors = {case: set(cell["floors"]) for case, cell in cells.items()}
    assert floors.pop("embeddings_batch64") == {"raw_mget"}
    assert all(found == (set() if case.endswith("_memory") else {"raw_get"}) for case, found in floors.items())
    assert {"raw_get_64"} <= set(cells["embeddings_batch64"]["peers"])
    for case, peer in (
        ("embeddings_hit", "redisvl"),
        ("explanations_hit_memory", "gptcache"),
        ("evidence_hit", "cashews"),
    ):
        assert peer in cells[case]["peers"] or peer in cells[case]["left_out"]
    assert set(cells["explanations_hit"]["left_out"]) == {"redisvl", "gptcache"}
    assert {one.name for one in tmp_path.iterdir()} == {"runs", "reports"}


def test_a_cache_without_a_server_is_refused(warm: Warm, tmp_path: Path) -> None:
    for cache in ("none", "memory"):
        refused = warm("+experiment=bench_cache", f"cache={cache}", cwd=tmp_path)
        assert refused.status == 2 and "give cache=embedded or cache=redis" in refused.stderr
        assert len(refused.stderr.splitlines()) == 1 and tree(tmp_path) == set()
