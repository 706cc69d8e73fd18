"""The document of `+experiment=bench_groundedness` as Markdown, and as sentences for a run's notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]
Row = Mapping[str, Any]
KINDS = {
    "right": "its own evidence",
    "wrong": "another question's evidence",
    "near": "the most similar other question's",
    "swapped": "a name or number exchanged",
    "negated": "said the other way round",
    "quoted": "a sentence of the evidence itself",
    "misquoted": "… with a name or number exchanged",
}
AGAINST = {
    "wrong": "the answer with another question's evidence",
    "near": "the answer with that of the most similar other question",
    "swapped": "the answer with a name or number exchanged",
    "negated": "the answer said the other way round",
    "misquoted": "for a sentence of the evidence: itself with a name or number exchanged",
}
SCORES = {
    "area": "area between evidence with and without a relevant passage",
    "evidence_precision": "refusals whose evidence holds no relevant passage",
    "evidence_recall": "… of all such evidence, refused",
    "unanswerable_precision": "refusals of questions that have no answer at all",
    "unanswerable_recall": "… of all such questions, refused",
    "answerable_refused": "questions with an answer that are refused",
}


def markdown(document: Document) -> str:
    """The whole document."""
    data, domains = document["data"], _domains(document)
    clean = " with uncommitted changes" if document["git"]["dirty"] else ""
    lines = [
        f"# How far the check of support can be trusted: {data['name']}",
        "",
        f"Measured {document['started_at'][:10]}, code {str(document['git']['sha'])[:12]}{clean}, data "
        f"{data['fingerprint'][:12]}, seed {document['seed']}. Test queries; 95% intervals over their clusters.",
        "",
        "## Reference answers with their own evidence, against …",
        "",
        "Area under the ROC curve, of whole answers: 1 where the check always tells them apart, 0.5 where never.",
        "",
        *_table("against", domains, AGAINST, _areas(document)),
        "",
        "## Claims taken for supported",
        "",
        *_table("beside", domains, KINDS, _by(document["support"]["supported"], "kind")),
        "",
        f"## Refusals beside {document['refusal']['passages']} passages",
        "",
        *_table("share", domains, SCORES, _by(document["refusal"]["scores"], "score")),
        "",
    ]
    return "\n".join(lines)


def sentences(document: Document) -> list[str]:
    """What matters most, a sentence each."""
    areas, scores = _areas(document), _by(document["refusal"]["scores"], "score")
    told = [
        f"Area under the ROC curve against {what}: {_cell(areas.get(('all', kind)))}." for kind, what in AGAINST.items()
    ]
    right, heard = (_cell(scores.get(("all", name))) for name in ("evidence_precision", "unanswerable_recall"))
    return [
        *told,
        f"Share of refusals whose evidence holds no relevant passage: {right}.",
        f"Share of questions without an answer that are refused: {heard}.",
    ]


def _areas(document: Document) -> dict[tuple[str, str], Row]:
    return _by([row for row in document["support"]["areas"] if row["level"] == "answer"], "kind")


def _by(rows: Sequence[Row], key: str) -> dict[tuple[str, str], Row]:
    return {(row["domain"], row[key]): row for row in rows}


def _domains(document: Document) -> list[str]:
    return list(dict.fromkeys(row["domain"] for row in document["support"]["supported"]))


def _table(
    corner: str, domains: Sequence[str], names: Mapping[str, str], rows: Mapping[tuple[str, str], Row]
) -> list[str]:
    return [
        "| " + " | ".join([corner, *domains]) + " |",
        "| --- |" + " ---: |" * len(domains),
        *(
            "| " + " | ".join([text, *(_cell(rows.get((domain, name))) for domain in domains)]) + " |"
            for name, text in names.items()
        ),
    ]


def _cell(row: Row | None) -> str:
    if row is None or row["value"] is None:
        return "not measured"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}] of {row['n']}"
