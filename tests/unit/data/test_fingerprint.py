"""The fingerprint: what changes it and what must not, and the canonical form written out by hand."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.data.fingerprint import fingerprint
from rag_lab.data.prepare import prepare
from rag_lab.types import Collection, Passage, Query

ONE = Collection(
    domain="healthcare",
    passages=(Passage("b", "Title", 'größer "x"\n', 0), Passage("a", "", "second", 1)),
    queries=(
        Query("healthcare/2", "why?", "healthcare", "test", 1),
        Query("healthcare/1", "how?", "healthcare", "train", 0, "so"),
    ),
    qrels={"healthcare/2": {"b": 2, "a": 0}, "healthcare/1": {"a": 1}},
    passages_in_source=2,
    queries_in_source=2,
    unanswerable=(Query("healthcare/u", "when?", "healthcare", "test", 2),),
)
TWO = replace(
    ONE,
    domain="finance",
    queries=tuple(q._replace(domain="finance", id=q.id.replace("healthcare", "finance")) for q in ONE.queries),
    qrels={query.replace("healthcare", "finance"): grades for query, grades in ONE.qrels.items()},
    unanswerable=(),
)
CANONICAL = """\
["domain","healthcare"]
["passage","a","","second"]
["passage","b","Title","größer \\"x\\"\\n"]
["query","healthcare/1","how?","so"]
["query","healthcare/2","why?",null]
["judgment","healthcare/1","a",1]
["judgment","healthcare/2","a",0]
["judgment","healthcare/2","b",2]
["unanswerable","healthcare/u","when?",null]
"""


def test_it_is_the_sha256_of_the_canonical_form() -> None:
    assert fingerprint([ONE]) == hashlib.sha256(CANONICAL.encode()).hexdigest()


@given(st.permutations(range(2)), st.permutations(range(2)), st.permutations(range(2)), st.booleans())
def test_orders_do_not_change_it(passages: list[int], queries: list[int], judgments: list[int], swap: bool) -> None:
    ids = list(ONE.qrels)
    other = replace(
        ONE,
        passages=tuple(ONE.passages[row]._replace(row=place) for place, row in enumerate(passages)),
        queries=tuple(ONE.queries[row]._replace(row=place) for place, row in enumerate(queries)),
        qrels={ids[row]: dict(reversed(list(ONE.qrels[ids[row]].items()))) for row in judgments},
    )
    assert fingerprint([TWO, other] if swap else [other, TWO]) == fingerprint([ONE, TWO])


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)


@given(
    st.dictionaries(st.text("abc", min_size=1), texts, min_size=1, max_size=8),
    st.randoms(use_true_random=False),
)
def test_permuting_the_corpus_changes_nothing(corpus: dict[str, str], chance: object) -> None:
    passages = [Passage(name, "", text, row) for row, (name, text) in enumerate(corpus.items())]
    one = replace(ONE, passages=tuple(passages))
    chance.shuffle(passages)  # type: ignore[attr-defined]
    assert fingerprint([replace(ONE, passages=tuple(passages))]) == fingerprint([one])


def changed() -> list[Collection]:
    first, second = ONE.passages
    why, how = ONE.queries
    return [
        replace(ONE, passages=(first._replace(text=first.text + "."), second)),
        replace(ONE, passages=(first._replace(title=""), second)),
        replace(ONE, passages=(first._replace(title="", text="Title " + first.text), second)),
        replace(ONE, passages=(first._replace(id="c"), second)),
        replace(ONE, passages=(first,)),
        replace(ONE, queries=(why._replace(text="who?"), how)),
        replace(ONE, queries=(why._replace(answer="so"), how)),
        replace(ONE, queries=(why, how._replace(answer=None))),
        replace(ONE, qrels={**ONE.qrels, "healthcare/1": {"a": 2}}),
        replace(ONE, qrels={**ONE.qrels, "healthcare/1": {"a": 1, "b": 0}}),
        replace(ONE, unanswerable=()),
        replace(ONE, domain="general"),
    ]


@pytest.mark.parametrize("number", range(12))
def test_content_changes_it(number: int) -> None:
    cases = changed()
    assert len({fingerprint([each]) for each in [ONE, *cases]}) == 13
    assert fingerprint([cases[number]]) != fingerprint([ONE])


def test_the_split_and_the_seed_do_not_change_it_but_a_cut_does() -> None:
    queries = tuple(Query(f"d/{n}", f"question {n}", "d", "test", n) for n in range(10))
    one = Collection(
        domain="d",
        passages=tuple(Passage(f"p{n}", "", f"text {n}", n) for n in range(20)),
        queries=queries,
        qrels={query.id: {f"p{query.row}": 1} for query in queries},
        passages_in_source=20,
        queries_in_source=10,
    )
    settings = {"max_queries": None, "max_passages": None, "test_share": 0.5, "keep_overlap": False}

    def identity(collection: Collection, **given: object) -> str:
        return prepare("d", [collection], "", **{"seed": 0, **settings, **given}).fingerprint  # type: ignore[arg-type]

    same = {
        identity(one),
        identity(one, seed=1),
        identity(one, test_share=0.2),
        identity(one, keep_overlap=True),
        identity(replace(one, queries=(*queries[:5], *(query._replace(split="train") for query in queries[5:])))),
    }
    assert same == {fingerprint([one])}
    less = {identity(one, max_passages=12, seed=seed) for seed in range(3)}
    assert len(less) == 1 and less != same
    assert identity(one, max_queries=6) not in same
