"""Every rule of a sound data set, broken one at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rag_lab.data.prepare import prepare
from rag_lab.data.validate import id_problem, text_problem, validate, validate_split
from rag_lab.errors import DataError
from rag_lab.types import Collection, Passage, Query

PASSAGES = (Passage("a", "", "first", 0), Passage("b", "B", "second", 1))
QUERIES = (Query("d/1", "how?", "d", "train", 0, "so"), Query("d/2", "why?", "d", "test", 1))
GOOD = Collection("d", PASSAGES, QUERIES, {"d/1": {"a": 1}, "d/2": {"b": 2, "a": 0}}, 2, 2)
UNANSWERABLE = Query("d/3", "when?", "d", "test", 2)

BROKEN = {
    "no passages": (
        replace(GOOD, passages=()),
        "0 passages and 2 judged queries; at least one of each is needed",
    ),
    "no queries": (
        replace(GOOD, queries=(), qrels={}),
        "2 passages and 0 judged queries; at least one of each is needed",
    ),
    "passage without id": (
        replace(GOOD, passages=(PASSAGES[0], PASSAGES[1]._replace(id=""))),
        "passage '': no id; every row needs one, a non-empty string",
    ),
    "white space in an id": (
        replace(GOOD, passages=(PASSAGES[0], PASSAGES[1]._replace(id="b c"))),
        "passage 'b c': id is 'b c'; ids hold no white space, which TREC run files cannot hold",
    ),
    "passage without text": (
        replace(GOOD, passages=(PASSAGES[0], PASSAGES[1]._replace(text=" \n"))),
        "passage 'b': no text; every row needs some, and a title does not count",
    ),
    "half a surrogate pair": (
        replace(GOOD, passages=(PASSAGES[0], PASSAGES[1]._replace(title="x\ud800"))),
        "passage 'b': title is not UTF-8: half a surrogate pair at character 2",
    ),
    "passage twice": (
        replace(GOOD, passages=(*PASSAGES, PASSAGES[0])),
        "passage 'a' comes twice; ids are unique within a collection",
    ),
    "query twice": (
        replace(GOOD, queries=(*QUERIES, QUERIES[0])),
        "query 'd/1': comes twice; query ids are unique over all domains",
    ),
    "unanswerable query twice": (
        replace(GOOD, unanswerable=(UNANSWERABLE, QUERIES[1])),
        "query 'd/2': comes twice; query ids are unique over all domains",
    ),
    "query without text": (
        replace(GOOD, queries=(QUERIES[0], QUERIES[1]._replace(text=""))),
        "query 'd/2': no text; every row needs some, and a title does not count",
    ),
    "answer that is no string": (
        replace(GOOD, queries=(QUERIES[0]._replace(answer=5), QUERIES[1])),  # type: ignore[arg-type]
        "query 'd/1': answer is 5; it must be a string",
    ),
    "query of another domain": (
        replace(GOOD, queries=(QUERIES[0], QUERIES[1]._replace(domain="e"))),
        "query 'd/2': its domain is 'e'; it must be its collection's",
    ),
    "judged query that does not exist": (
        replace(GOOD, qrels={**GOOD.qrels, "d/9": {"a": 1}}),
        "query 'd/9' is judged, but does not exist",
    ),
    "judged unanswerable query": (
        replace(GOOD, qrels={**GOOD.qrels, "d/3": {"a": 1}}, unanswerable=(UNANSWERABLE,)),
        "query 'd/3' is judged, but does not exist",
    ),
    "judged passage that does not exist": (
        replace(GOOD, qrels={**GOOD.qrels, "d/1": {"z": 1}}),
        "query 'd/1' is judged on passage 'z', which does not exist",
    ),
    "query without judgments": (
        replace(GOOD, qrels={"d/1": {"a": 1}}),
        "query 'd/2' has no judgment; leave it out, or keep it as unanswerable",
    ),
}


def test_a_sound_collection_passes() -> None:
    validate([replace(GOOD, unanswerable=(UNANSWERABLE,))])


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_wrong_is_said_in_one_line(case: str) -> None:
    broken, message = BROKEN[case]
    with pytest.raises(DataError) as caught:
        validate([broken])
    assert str(caught.value) == f"d: {message}"


def test_query_ids_are_unique_over_domains() -> None:
    other = replace(GOOD, domain="e", queries=tuple(query._replace(domain="e") for query in QUERIES))
    with pytest.raises(DataError, match=r"^e: query 'd/1': comes twice; query ids are unique over all domains$"):
        validate([GOOD, other])


def test_a_domain_comes_once_and_at_least_one_is_needed() -> None:
    with pytest.raises(DataError, match=r"^domain 'd' comes twice; each domain is one collection$"):
        validate([GOOD, GOOD])
    with pytest.raises(DataError, match=r"^no collection; a data set has at least one domain$"):
        validate([])


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_split_needs_a_query_with_a_relevant_passage(split: str) -> None:
    which = "d/1" if split == "train" else "d/2"
    with pytest.raises(DataError) as caught:
        validate_split([replace(GOOD, qrels={**GOOD.qrels, which: {"a": 0}})])
    assert str(caught.value) == (
        f"d: the {split} split has no query with a relevant passage; give more judged queries, "
        "raise data.max_queries, or see data.keep_overlap and data.test_share"
    )
    validate_split([GOOD])


def test_prepare_refuses_data_whose_train_split_is_all_overlap() -> None:
    overlapping = replace(GOOD, qrels={"d/1": {"b": 1}, "d/2": {"b": 1}})
    settings = {"seed": 0, "max_queries": None, "max_passages": None, "test_share": 0.5}
    with pytest.raises(DataError, match="the train split has no query with a relevant passage"):
        prepare("x", [overlapping], "", keep_overlap=False, **settings)  # type: ignore[arg-type]
    kept = prepare("x", [overlapping], "card", keep_overlap=True, **settings)  # type: ignore[arg-type]
    assert (kept.name, kept.card, kept.domains, kept.dropped_overlap) == ("x", "card", ("d",), 0)
    assert [query.split for query in kept.collections[0].queries] == ["train", "test"]


def test_rules_for_ids_and_texts() -> None:
    assert id_problem("HP:0000001") is None and id_problem("é<::>2") is None
    assert id_problem(5) == "id is 5; it must be a string, in quotes"
    assert id_problem("a\u00a0b") is not None
    assert text_problem(" x ") is None
    assert text_problem(["x"], '"text"') == "\"text\" is ['x']; it must be a string"
