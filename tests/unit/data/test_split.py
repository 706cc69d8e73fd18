"""Splits and clusters, against a naive search for components and on worked examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.data import beir
from rag_lab.data.split import components, generator, split
from rag_lab.types import Collection, Dataset, Passage, Query, Split

PASSAGES = tuple(f"p{number}" for number in range(8))

Judged = list[tuple[Split, dict[str, int]]]


def collection(judged: Judged, domain: str = "finance", unanswerable: int = 0) -> Collection:
    """A collection whose n-th query has the given split and judgments."""
    ids = [f"{domain}/{number:03}" for number in range(len(judged))]
    return Collection(
        domain=domain,
        passages=tuple(Passage(name, "", f"text of {name}", row) for row, name in enumerate(PASSAGES)),
        queries=tuple(
            Query(name, f"question {name}", domain, part, row)
            for row, (name, (part, _)) in enumerate(zip(ids, judged, strict=True))
        ),
        qrels={name: grades for name, (_, grades) in zip(ids, judged, strict=True)},
        passages_in_source=len(PASSAGES),
        queries_in_source=len(judged),
        unanswerable=tuple(
            Query(f"{domain}/u{row}", "unanswerable", domain, "test", row) for row in range(unanswerable)
        ),
    )


grades = st.dictionaries(st.sampled_from(PASSAGES), st.integers(-1, 3), min_size=1, max_size=4)
any_split: st.SearchStrategy[Split] = st.sampled_from(("train", "dev", "test"))
presplit = st.lists(st.tuples(any_split, grades), min_size=1, max_size=14).map(collection)
test_alone = st.builds(
    collection,
    st.lists(st.tuples(st.just("test"), grades), min_size=1, max_size=14),
    unanswerable=st.integers(0, 4),
)


def relevant(one: Collection, query: Query) -> set[str]:
    return {passage for passage, grade in one.qrels[query.id].items() if grade > 0}


def flooded(one: Collection, queries: list[Query]) -> set[frozenset[str]]:
    """Components by flooding from each query, the slow and obvious way."""
    found = set()
    for start in queries:
        members, reached = {start.id}, relevant(one, start)
        while True:
            near = {query.id for query in queries if relevant(one, query) & reached} | members
            if near == members:
                break
            members = near
            reached = {passage for q in queries if q.id in members for passage in relevant(one, q)}
        found.add(frozenset(members))
    return found


def by_cluster(queries: list[Query]) -> set[frozenset[str]]:
    return {
        frozenset(query.id for query in queries if query.cluster == number)
        for number in {query.cluster for query in queries}
    }


def part(one: Collection, name: Split) -> list[Query]:
    return [query for query in one.queries if query.split == name]


def sides(seed: int, domain: str = "finance", share: float = 0.5) -> list[Split]:
    """How 40 unlinked queries are split."""
    alone = replace(
        collection([("test", {"p0": 0})] * 40, domain),
        qrels={f"{domain}/{number:03}": {f"own{number}": 1} for number in range(40)},
    )
    (done,), _, _ = split([alone], seed=seed, test_share=share, keep_overlap=False)
    return [query.split for query in done.queries]


def test_components_on_a_worked_example() -> None:
    linked = {"a": {"1"}, "b": {"2"}, "c": {"3"}, "d": {"1", "3"}, "e": set[str](), "f": set[str]()}
    assert components(linked) == {"a": 0, "b": 1, "c": 0, "d": 0, "e": 2, "f": 3}


def test_a_chain_of_shared_passages_is_one_component() -> None:
    chain = {f"q{n}": {f"p{n}", f"p{n + 1}"} for n in range(5000)}
    assert set(components(chain).values()) == {0}


@given(st.one_of(presplit, test_alone), st.integers(0, 3), st.floats(0.05, 0.95))
def test_no_test_query_shares_a_relevant_passage_with_train(one: Collection, seed: int, share: float) -> None:
    (done,), dropped, _ = split([one], seed=seed, test_share=share, keep_overlap=False)
    tested = {passage for query in part(done, "test") for passage in relevant(done, query)}
    learned = {passage for query in part(done, "train") for passage in relevant(done, query)}
    assert tested.isdisjoint(learned)
    assert len(done.queries) + dropped == len(one.queries)
    assert set(done.qrels) == {query.id for query in done.queries}


@given(st.one_of(presplit, test_alone), st.booleans())
def test_clusters_are_the_components_of_each_split(one: Collection, keep_overlap: bool) -> None:
    (done,), _, _ = split([one], seed=0, test_share=0.5, keep_overlap=keep_overlap)
    for name in ("train", "test"):
        queries = part(done, name)
        assert by_cluster(queries) == flooded(done, queries)
        numbers = list(dict.fromkeys(query.cluster for query in queries))
        assert numbers == list(range(len(numbers)))
    assert all(query.split in ("train", "test") for query in done.queries)


@given(presplit)
def test_published_splits_keep_their_sides(one: Collection) -> None:
    published = [query.id for query in one.queries if query.split == "test"]
    (strict,), dropped, _ = split([one], seed=0, test_share=0.5, keep_overlap=False)
    (loose,), none, _ = split([one], seed=0, test_share=0.5, keep_overlap=True)
    if len(published) == len(one.queries):
        assert dropped == none == 0  # test judgments alone: split by component, nothing dropped
        return
    assert [query.id for query in part(strict, "test")] == published
    assert [query.id for query in part(loose, "test")] == published
    assert len(loose.queries) == len(one.queries) and none == 0
    tested = {passage for query in one.queries if query.split == "test" for passage in relevant(one, query)}
    direct = [q.id for q in one.queries if q.split != "test" and relevant(one, q) & tested]
    assert dropped == len(direct)
    assert not {query.id for query in strict.queries} & set(direct)


@given(test_alone, st.randoms(use_true_random=False))
def test_the_row_order_does_not_change_the_sides(one: Collection, chance: object) -> None:
    shuffled = list(one.queries)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    other = replace(one, queries=tuple(shuffled), qrels=dict(reversed(list(one.qrels.items()))))
    (done,), _, _ = split([one], seed=5, test_share=0.5, keep_overlap=False)
    (again,), _, _ = split([other], seed=5, test_share=0.5, keep_overlap=False)
    assert {q.id: q.split for q in done.queries} == {q.id: q.split for q in again.queries}


@given(test_alone, st.floats(0.05, 0.95))
def test_whole_components_never_exceed_the_share_unless_they_must(one: Collection, share: float) -> None:
    (done,), _, _ = split([one], seed=1, test_share=share, keep_overlap=False)
    ranked = [query for query in done.queries if relevant(done, query)]
    groups = flooded(one, [query for query in one.queries if relevant(one, query)])
    test = {query.id for query in ranked if query.split == "test"}
    if not groups:
        return
    assert test, "something is left to be judged on"
    assert len(test) <= max(share * len(ranked) + 0.5, min(map(len, groups)))
    if len(groups) > 1:
        assert len(test) < len(ranked)


def test_the_seed_decides_and_nothing_else() -> None:
    assert sides(0) == sides(0)
    assert len({tuple(sides(seed)) for seed in range(10)}) == 10
    assert sides(0, "finance") != sides(0, "general")
    assert [sides(seed).count("test") for seed in range(5)] == [20] * 5
    assert sides(0, share=0.25).count("test") == 10


def test_a_domain_is_split_alike_whatever_stands_beside_it() -> None:
    finance = collection([("test", {name: 1}) for name in PASSAGES])
    general = collection([("test", {name: 1}) for name in PASSAGES], "general")
    (alone,), _, _ = split([finance], seed=3, test_share=0.5, keep_overlap=False)
    (first, second), _, _ = split([general, finance], seed=3, test_share=0.5, keep_overlap=False)
    assert second == alone
    assert first.domain == "general"


def test_generators_differ_by_seed_and_domain() -> None:
    draws = {tuple(generator(seed, domain).integers(0, 1 << 30, 4)) for seed in (0, 1) for domain in ("a", "b")}
    assert len(draws) == 4


def test_dev_is_train_and_only_relevant_passages_overlap() -> None:
    one = collection(
        [
            ("test", {"p0": 2, "p1": 0}),
            ("train", {"p0": 1}),  # shares p0: dropped
            ("dev", {"p0": 0, "p2": 1}),  # p0 is not relevant to it: stays
            ("train", {"p1": 3}),  # p1 is not relevant to test: stays
            ("dev", {"p2": 1}),
        ]
    )
    (done,), dropped, notes = split([one], seed=0, test_share=0.5, keep_overlap=False)
    assert [(query.id, query.split, query.cluster) for query in done.queries] == [
        ("finance/000", "test", 0),
        ("finance/002", "train", 0),
        ("finance/003", "train", 1),
        ("finance/004", "train", 0),
    ]
    assert dropped == 1
    assert notes == ()


def test_queries_without_a_relevant_passage_are_clusters_of_their_own_on_both_sides() -> None:
    judged: Judged = [("test", {"p0": 0})] * 4
    judged += [("test", {name: 1}) for name in PASSAGES[1:7]]
    one = collection(judged, unanswerable=4)
    (done,), dropped, _ = split([one], seed=0, test_share=0.5, keep_overlap=False)
    for name in ("train", "test"):
        bare = [query for query in part(done, name) if not relevant(done, query)]
        unanswerable = [query for query in done.unanswerable if query.split == name]
        assert len(bare) == 2 and len(unanswerable) == 2
        clusters = [query.cluster for query in (*part(done, name), *unanswerable)]
        assert sorted(clusters) == list(range(7))
    assert dropped == 0


def test_a_large_component_is_reported() -> None:
    large: Judged = [("test", {"p0": 1})] * 3
    large += [("test", {name: 1}) for name in PASSAGES[1:8]]
    _, _, notes = split([collection(large)], seed=0, test_share=0.5, keep_overlap=False)
    assert len(notes) == 1
    assert notes[0].startswith("finance: 3 of the 10 queries with test judgments (30%)")


def test_a_component_of_a_fifth_is_not_reported() -> None:
    fifth: Judged = [("test", {"p0": 1})] * 2
    fifth += [("test", {name: 1}) for name in (*PASSAGES[1:8], "another")]
    _, _, notes = split([collection(fifth)], seed=0, test_share=0.5, keep_overlap=False)
    assert notes == ()


def loaded(folder: Path, **settings: object) -> Dataset:
    given = {"max_queries": None, "max_passages": None, "test_share": 0.5, "keep_overlap": False}
    load = beir.build(domains={"d": str(folder)}, **{**given, **settings})  # type: ignore[arg-type]
    return load(0, Silent)


class Silent:
    """A progress bar that shows nothing."""

    def __init__(self, what: str, total: int, unit: str) -> None: ...
    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *exc: object) -> None: ...
    def advance(self, amount: int = 1) -> None: ...


@pytest.mark.shared_data
def test_scifact_loses_the_train_queries_that_share_evidence_with_test(shared_data: Path) -> None:
    strict, loose = loaded(shared_data / "scifact"), loaded(shared_data / "scifact", keep_overlap=True)
    (one,), (published,) = strict.collections, loose.collections
    assert (len(part(published, "test")), len(part(published, "train"))) == (300, 809)
    assert (len(part(one, "test")), len(part(one, "train"))) == (300, 809 - strict.dropped_overlap)
    assert strict.dropped_overlap == 272 and loose.dropped_overlap == 0
    assert strict.fingerprint == loose.fingerprint
    assert by_cluster(part(one, "test")) == flooded(one, part(one, "test"))
    tested = {passage for query in part(one, "test") for passage in relevant(one, query)}
    assert all(tested.isdisjoint(relevant(one, query)) for query in part(one, "train"))


@pytest.mark.shared_data
@pytest.mark.parametrize(("name", "queries"), [("medquad_liveqa", 103), ("mtrag_clapnq", 208)])
def test_folders_with_test_judgments_alone_are_halved(shared_data: Path, name: str, queries: int) -> None:
    dataset = loaded(shared_data / name)
    (one,) = dataset.collections
    assert len(one.queries) == queries and dataset.dropped_overlap == 0
    assert abs(len(part(one, "test")) - queries / 2) <= 1
    tested = {passage for query in part(one, "test") for passage in relevant(one, query)}
    assert all(tested.isdisjoint(relevant(one, query)) for query in part(one, "train"))
