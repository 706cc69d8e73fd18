"""Keys: what is one question, what decides a value, and that nothing of one scope is found in another."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_lab.cache.keys import layer_of, normalise, pattern, scope

NAMES = st.text("abcdefghijklmnopqrstuvwxyzABC_.-0123456789", min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("What is  Type 2\tdiabetes?\n", "what is type 2 diabetes?"),
        ("ﬁnance", "finance"),
        ("ＡＢＣ", "abc"),
        ("café", "cafe\u0301"),
        ("Straße", "STRASSE"),
    ],
)
def test_spellings_of_one_question(text: str, same: str) -> None:
    assert normalise(text) == normalise(same)


@pytest.mark.parametrize(("text", "other"), [("10²", "102"), ("H₂O", "h20"), ("1½ mg", "11⁄2 mg"), ("cafe", "café")])
def test_what_means_something_else_stays_another_question(text: str, other: str) -> None:
    assert normalise(text) != normalise(other)


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


BASE = {"index": "i1", "encoder": "minilm", "config": {"k": 10, "alpha": 0.5}}


@pytest.mark.parametrize(
    "change",
    [{"index": "i2"}, {"encoder": "other"}, {"config": {"k": 10, "alpha": 0.6}}, {"config": {"k": 10}}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_decides_the_value_is_another_key(change: dict) -> None:
    one, other = scope("n", "evidence", **BASE), scope("n", "evidence", **{**BASE, **change})
    assert one.key("q") != other.key("q")


def test_layers_namespaces_and_details_are_other_keys_and_the_order_of_settings_is_not() -> None:
    keys = {
        scope("n", "evidence", **BASE).key("q"),
        scope("n", "embeddings", **BASE).key("q"),
        scope("m", "evidence", **BASE).key("q"),
        scope("n", "evidence", **BASE).key("q", b"1"),
        scope("n", "evidence", **BASE).key("p"),
    }
    assert len(keys) == 5
    turned = {**BASE, "config": dict(reversed(BASE["config"].items()))}
    assert scope("n", "evidence", **BASE) == scope("n", "evidence", **turned)


def test_a_batch_has_the_keys_of_its_members() -> None:
    where = scope("n", "evidence", **BASE)
    assert where.keys(["p", "q"], [b"1", b"2"]) == [where.key("p", b"1"), where.key("q", b"2")]
    assert where.keys(["p", "q"], None) == [where.key("p"), where.key("q")]


@given(NAMES, st.text(max_size=30), st.text(max_size=30), st.text(max_size=50), st.binary(max_size=8))
def test_patterns_find_their_own_index_and_layer_and_nothing_else(
    namespace: str, index: str, other: str, text: str, detail: bytes
) -> None:
    key = scope(namespace, "evidence", index=index, encoder="e", config={}).key(text, detail).decode()

    def finds(glob: bytes) -> bool:
        return fnmatch.fnmatchcase(key, glob.decode())

    assert layer_of(key.encode()) == "evidence"
    assert finds(pattern(namespace)) and finds(pattern(namespace, "evidence"))
    assert finds(pattern(namespace, index=index)) and finds(pattern(namespace, "evidence", index))
    assert not finds(pattern(namespace, "embeddings")) and not finds(pattern(f"{namespace}x"))
    assert finds(pattern(namespace, index=other)) is (index == other)
