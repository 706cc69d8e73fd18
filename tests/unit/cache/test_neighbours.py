"""The questions that may stand in: the nearest by hand and by NumPy, which leave, and what a layer lends of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from servers import LAYERING, Open

from rag_lab.cache import memory
from rag_lab.cache.forms import Evidence
from rag_lab.cache.layering import Cache
from rag_lab.cache.neighbours import Neighbours, Terms
from rag_lab.cache.recall import Names, Recall
from rag_lab.types import Answer

JUDGED = {"one": {"cure a fever": frozenset("a"), "cures a fever": frozenset("a"), "fever now": frozenset("b")}}
TERMS = Terms(0.9, 0.0, 8, JUDGED)
DEGREES = {"cure a fever": 0, "cures a fever": 10, "fever now": -12, "buy bonds": 90, "buy 2 bonds": 91}


def vector(*texts: str) -> np.ndarray:
    angles = np.radians([DEGREES[text] for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def kept(*texts: str, terms: Terms = TERMS) -> Neighbours:
    found = Neighbours(terms)
    found.add(texts, vector(*texts))
    return found


def test_the_nearest_other_question_by_hand() -> None:
    one = kept("cure a fever", "cures a fever", "buy bonds")
    asked = ["Cure  a fever", "fever now", "buy 2 bonds"]  # itself is not another; a number is another question
    assert one.near(asked, vector("cure a fever", "fever now", "buy 2 bonds")) == [
        "cures a fever", "cure a fever", None,
    ]  # fmt: skip
    assert one.near([], vector()) == [] and Neighbours(TERMS).near(["x"], vector("buy bonds")) == [None]


@pytest.mark.parametrize(("terms", "found"), [(TERMS, "cure a fever"), (TERMS._replace(threshold=0.99), None)])
def test_cosine_and_gate_both_admit(terms: Terms, found: str | None) -> None:
    assert kept("cure a fever", terms=terms).near(["fever now"], vector("fever now")) == [found]
    strict = kept("cure a fever", terms=terms._replace(overlap=0.9))
    assert strict.near(["fever now"], vector("fever now")) == [None]


def test_the_longest_unseen_leave_and_the_dropped_are_gone() -> None:
    one = kept("cure a fever", "buy bonds", terms=TERMS._replace(questions=2))
    one.add(["CURE A FEVER"], vector("cure a fever"))
    one.add(["cures a fever"], vector("cures a fever"))  # in the place of the bonds
    assert one.near(["buy bonds", "fever now"], vector("buy bonds", "fever now")) == [None, "CURE A FEVER"]
    one.drop(["cure a fever", "never seen"])
    assert one.near(["fever now"], vector("fever now"))[0] == "cures a fever"  # 22 degrees: cosine 0.93
    one.add(["buy bonds"], vector("buy bonds"))
    assert one.near(["bonds"], vector("buy bonds")) == ["buy bonds"]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 100))
def test_it_is_what_numpy_finds(count: int, asked: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).standard_normal((count + asked, 4)).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    one = Neighbours(Terms(0.0, 0.0, count, {}))
    one.add([f"kept {chr(97 + n)}" for n in range(count)], drawn[:count])
    cosines = drawn[count:] @ drawn[:count].T
    expected = [f"kept {chr(97 + row.argmax())}" if row.max() >= 0 else None for row in cosines]
    assert one.near(["asked"] * asked, drawn[count:]) == expected


# What is lent, on every store


class Asking:
    """Questions to a recall, one at a time; what was computed for each."""

    def __init__(self, cache: Cache, terms: Terms | None = TERMS) -> None:
        self.cache = cache
        names = Names("e", {"one": "i1", "two": "i2"}, {}, {})
        self.recall = Recall(cache, names, 3, terms)

    def __call__(self, text: str, alpha: float = 0.5, domain: str = "one") -> tuple[str, bool, bool]:
        """Whose answer it was, and whether evidence and answer were computed."""
        number = list(DEGREES).index(text)
        own = Evidence(np.arange(number, number + 3, dtype=np.int32), np.ones(3, np.float32))
        at = vector(text)
        found, searched = self.recall.search(domain, [text], at, np.array([alpha]), lambda _: [own])
        said, written = self.recall.answer(domain, [text], at, found, lambda _: [Answer(text, ())])
        return said[0].text, bool(searched[0]), bool(written[0])


def test_a_near_question_is_served_and_counted(opened: Open) -> None:
    cache = opened(namespace="near")
    ask, before = Asking(cache), cache.snapshot()
    assert ask("cure a fever") == ("cure a fever", True, True)
    assert ask("cures a fever") == ("cure a fever", False, False)
    assert ask("fever now") == ("cure a fever", False, False)  # wrongly, by the judgments
    assert ask("buy bonds") == ("buy bonds", True, True)
    assert ask("cure a fever") == ("cure a fever", False, False)
    for layer in ("evidence", "explanations"):
        found = cache.snapshot().layers[layer].since(before.layers[layer])
        assert (found.hits, found.misses, found.near_hits, found.false_hits) == (1, 4, 2, 1)
        assert found.hit_rate == 3 / 5
    assert Asking(cache, None)("fever now") == ("fever now", True, True)  # what was lent is not kept as its own


def test_what_differs_in_more_than_the_question_is_not_lent(opened: Open) -> None:
    ask = Asking(opened(namespace="differs"))
    ask("cure a fever")
    assert ask("cures a fever", alpha=0.4) == ("cures a fever", True, True)
    assert ask("fever now", domain="two") == ("fever now", True, True)


def test_the_next_nearest_lends_where_the_nearest_has_ended(opened: Open) -> None:
    now = [1.75e9]
    ask = Asking(opened(clock=lambda: now[0], namespace="next"))
    ask("cure a fever")
    now[0] += 1700
    ask.recall.search("one", ["fever far"], vector("fever now"), np.array([0.5]), lambda _: pytest.fail("computed"))
    now[0] += 100  # evidence of the fever ends
    assert ask("cures a fever") == ("cures a fever", True, True)
    assert ask("fever now") == ("cures a fever", False, False)


def test_a_batch_lends_to_some_and_computes_the_others() -> None:
    cache = memory.build(namespace="n", layers=LAYERING, max_bytes=1 << 20).open()
    Asking(cache)  # another process' questions are not known here
    ask = Asking(cache)
    ask("cure a fever")
    texts, computed = ["buy bonds", "cures a fever", "cure a fever", "buy 2 bonds"], []

    def compute(places: list[int]) -> list[Evidence]:
        computed.extend(places)
        return [Evidence(np.full(3, place, np.int32), np.ones(3, np.float32)) for place in places]

    found, searched = ask.recall.search("one", texts, vector(*texts), np.full(4, 0.5), compute)
    assert computed == [0, 3] and searched.tolist() == [True, False, False, True]
    assert [one.passage[0] for one in found] == [0, 0, 0, 3]
    assert found[1].passage.tolist() == found[2].passage.tolist() == [0, 1, 2]
