"""Cuts: totals are kept to, judged passages stay, smaller cuts lie within larger ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.data.cut import cut, shares
from rag_lab.errors import ConfigError
from rag_lab.types import Collection, Passage, Query, Split


def collection(domain: str, passages: int, judged: list[tuple[Split, list[int]]]) -> Collection:
    """A collection whose n-th query has the given split and is judged on the passages at these rows."""
    return Collection(
        domain=domain,
        passages=tuple(Passage(f"p{row}", "", f"text {row}", row) for row in range(passages)),
        queries=tuple(
            Query(f"{domain}/{row}", f"question {row}", domain, split, row) for row, (split, _) in enumerate(judged)
        ),
        qrels={
            f"{domain}/{row}": {f"p{passage}": passage % 3 for passage in rows} for row, (_, rows) in enumerate(judged)
        },
        passages_in_source=passages,
        queries_in_source=len(judged),
    )


@st.composite
def collections(draw: st.DrawFn) -> list[Collection]:
    made = []
    for domain in draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True)):
        passages = draw(st.integers(1, 30))
        rows = st.lists(st.integers(0, passages - 1), min_size=1, max_size=3)
        splits: st.SearchStrategy[Split] = st.sampled_from(("train", "dev", "test"))
        made.append(collection(domain, passages, draw(st.lists(st.tuples(splits, rows), min_size=1, max_size=12))))
    return made


def judged(one: Collection) -> set[str]:
    return {passage for grades in one.qrels.values() for passage in grades}


def identifiers(cuts: tuple[Collection, ...]) -> set[tuple[str, str]]:
    return {(one.domain, passage.id) for one in cuts for passage in one.passages}


@given(collections(), st.integers(6, 40), st.integers(1, 100))
def test_a_cut_keeps_to_its_totals_and_every_judged_passage(
    whole: list[Collection], max_queries: int, max_passages: int
) -> None:
    kept, notes = cut(whole, max_queries=max_queries, max_passages=max_passages)
    assert [one.domain for one in kept] == [one.domain for one in whole]
    queries = sum(len(one.queries) for one in kept)
    assert queries == min(max_queries, sum(len(one.queries) for one in whole))
    floor = sum(len(judged(one)) for one in kept)
    passages = sum(len(one.passages) for one in kept)
    assert passages == max(floor, min(max_passages, sum(len(one.passages) for one in whole)))
    assert bool(notes) == (floor > max_passages)
    for one, before in zip(kept, whole, strict=True):
        assert judged(one) <= {passage.id for passage in one.passages}
        assert one.qrels == {query.id: before.qrels[query.id] for query in one.queries}
        assert list(one.passages) == [passage for passage in before.passages if passage in one.passages]
        assert list(one.queries) == [query for query in before.queries if query in one.queries]
        assert one.passages_in_source == before.passages_in_source
        assert one.queries_in_source == before.queries_in_source
        assert {q.split == "test" for q in one.queries} == {q.split == "test" for q in before.queries}


@given(collections(), st.integers(6, 39), st.integers(1, 99))
def test_a_larger_cut_contains_a_smaller_one(whole: list[Collection], queries: int, passages: int) -> None:
    small, _ = cut(whole, max_queries=queries, max_passages=None)
    large, _ = cut(whole, max_queries=queries + 1, max_passages=None)
    for less, more in zip(small, large, strict=True):
        assert set(less.queries) <= set(more.queries)
    fewer, _ = cut(whole, max_queries=None, max_passages=passages)
    others, _ = cut(whole, max_queries=None, max_passages=passages + 1)
    assert identifiers(fewer) <= identifiers(others)


@given(collections(), st.integers(6, 40), st.integers(1, 100), st.randoms(use_true_random=False))
def test_neither_row_order_nor_domain_order_changes_what_is_kept(
    whole: list[Collection], max_queries: int, max_passages: int, chance: object
) -> None:
    shuffled = []
    for one in whole:
        passages, queries = list(one.passages), list(one.queries)
        chance.shuffle(passages)  # type: ignore[attr-defined]
        chance.shuffle(queries)  # type: ignore[attr-defined]
        shuffled.append(replace(one, passages=tuple(passages), queries=tuple(queries)))
    kept, _ = cut(whole, max_queries=max_queries, max_passages=max_passages)
    again, _ = cut(shuffled[::-1], max_queries=max_queries, max_passages=max_passages)
    for one, other in zip(kept, again[::-1], strict=True):
        assert set(one.passages) == set(other.passages)
        assert set(one.queries) == set(other.queries)


def test_no_limits_change_nothing() -> None:
    whole = (collection("a", 5, [("train", [0]), ("test", [1])]),)
    assert cut(whole, max_queries=None, max_passages=None) == (whole, ())


def test_shares_are_equal_where_sizes_allow() -> None:
    none = {"a": 0, "b": 0, "c": 0}
    assert shares(30, none, {"a": 100, "b": 100, "c": 100}) == {"a": 10, "b": 10, "c": 10}
    assert shares(30, none, {"a": 4, "b": 100, "c": 100}) == {"a": 4, "b": 13, "c": 13}
    assert shares(31, none, {"c": 100, "b": 100, "a": 4}) == {"a": 4, "b": 14, "c": 13}
    assert shares(30, {"a": 20, "b": 0, "c": 0}, {"a": 50, "b": 50, "c": 50}) == {"a": 20, "b": 5, "c": 5}
    assert shares(10, {"a": 20, "b": 7, "c": 0}, {"a": 50, "b": 50, "c": 50}) == {"a": 20, "b": 7, "c": 0}
    assert shares(999, none, {"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}


def test_test_and_train_are_thinned_alike() -> None:
    kinds: list[Split] = ["train", "train", "train", "dev", "test"]
    rows = [(split, [0]) for split in kinds * 20]
    (kept,), _ = cut([collection("a", 3, rows)], max_queries=50, max_passages=None)
    assert sum(query.split == "test" for query in kept.queries) == 10
    (pair,), _ = cut([collection("a", 3, rows)], max_queries=2, max_passages=None)
    assert sorted(query.split == "test" for query in pair.queries) == [False, True]


def test_judged_passages_beyond_the_limit_are_kept_and_said() -> None:
    rows: list[tuple[Split, list[int]]] = [("train", [0, 1]), ("test", [2, 3])]
    (kept,), notes = cut([collection("a", 9, rows)], max_queries=None, max_passages=3)
    assert [passage.row for passage in kept.passages] == [0, 1, 2, 3]
    assert notes == ("data.max_passages=3, but 4 passages are kept: the judged passages of kept queries always are.",)


def test_too_few_queries_for_the_domains_is_one_clear_line() -> None:
    rows: list[tuple[Split, list[int]]] = [("train", [0]), ("test", [0]), ("test", [0])]
    whole = [collection(domain, 2, rows) for domain in "abc"]
    with pytest.raises(ConfigError) as caught:
        cut(whole, max_queries=5, max_passages=None)
    assert str(caught.value) == (
        "data.max_queries=5 is too few: each of 3 domains needs one query to learn from and one to be "
        "judged on; give 6 or more, or null for all"
    )
    assert sum(len(one.queries) for one in cut(whole, max_queries=6, max_passages=None)[0]) == 6
