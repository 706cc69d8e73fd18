"""A little collection in BEIR layout, written where a test wants it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path


class Folder:
    """A collection in BEIR layout, to be spoilt by the test."""

    def __init__(self, path: Path, passages: Sequence[str], queries: int) -> None:
        self.path = path
        (path / "qrels").mkdir(parents=True)
        self.rows("corpus.jsonl", [{"_id": f"p{n}", "title": "", "text": text} for n, text in enumerate(passages)])
        asked = [{"_id": f"q{n}", "text": " ".join(passages[n].split()[:4])} for n in range(queries)]
        self.rows("queries.jsonl", asked)
        half = queries // 2
        self.judge("train", [(f"q{n}", f"p{n}", "1") for n in range(half)])
        self.judge("test", [(f"q{n}", f"p{n}", "1") for n in range(half, queries)])

    def rows(self, name: str, rows: Sequence[object]) -> None:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (self.path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def judge(self, split: str, rows: Sequence[tuple[str, ...]]) -> None:
        lines = ["query-id\tcorpus-id\tscore", *("\t".join(row) for row in rows)]
        (self.path / "qrels" / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")


WORDS = (
    *("sleep", "light", "river", "garden", "protein", "market", "interest", "bond", "fever", "virus"),
    *("council", "harbour", "music", "engine", "winter", "bridge", "teacher", "forest", "sugar", "muscle"),
    *("credit", "island", "painter", "valley", "copper", "orchid", "signal", "kitchen", "doctor", "railway"),
)


def sentences(count: int) -> list[str]:
    """Short passages, all different."""
    return [
        f"{WORDS[n % 30]} {WORDS[n // 30 % 30]} number {n} stands near the {WORDS[n * 7 % 30]}" for n in range(count)
    ]
