from __future__ import annotations

import numpy as np
import pytest
import reference
from doubles import Bars, collection

from rag_lab.l1_retrieval import hybrid
from rag_lab.l1_retrieval.features import FEATURES, measure
from rag_lab.l1_retrieval.lexical import Lexical, words

RANDOM = np.random.default_rng(0)
WORDS = [f"word{number}" for number in range(40)]
TEXTS = [" ".join(RANDOM.choice(WORDS, size)) for size in RANDOM.integers(3, 20, 60)]
ASKED = [" ".join(RANDOM.choice([*WORDS, "unheard", "the"], size)) for size in RANDOM.integers(1, 8, 20)]
ASKED += ["unheard things", "the of", ""]
RETRIEVER = hybrid.build(
    pool=15, k1=1.5, b=0.75, feedback=hybrid.Feedback(3, 0.5, 6, 0.5), rank_constant=60, late="none"
)


def unit(rows: int) -> np.ndarray:
    vectors = RANDOM.normal(size=(rows, 8)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_the_naive_features_agree_for_every_query() -> None:
    """Queries of unknown words, of stop words alone, and of nothing are among them; all stay finite."""
    one = collection(TEXTS, ASKED, [{} for _ in ASKED])
    pools = RETRIEVER.candidates(one, unit(60), unit(len(ASKED)), Bars())
    found = measure(ASKED, Lexical(TEXTS, 1.5, 0.75), pools)
    assert found.shape == (len(ASKED), len(FEATURES)) and found.dtype == np.float32 and np.isfinite(found).all()
    held = reference.words(TEXTS)
    df = {word: sum(word in passage for passage in held) for word in {word for passage in held for word in passage}}
    for row, query in enumerate(ASKED):
        real = pools.real[row]
        bm25, dense = (np.asarray(each[row][real], np.float64) for each in (pools.lexical, pools.dense))
        expected = reference.signals(bm25, dense, reference.words([query])[0], df, len(TEXTS))
        assert set(expected) == set(FEATURES)
        for name, value in zip(FEATURES, found[row], strict=True):
            assert value == pytest.approx(expected[name], rel=1e-4, abs=1e-4), (query, name)


def test_names_are_of_letters_and_unique() -> None:
    assert len(set(FEATURES)) == len(FEATURES) and all(name.replace("_", "").isalnum() for name in FEATURES)


def test_words_are_those_that_bm25_sees() -> None:
    assert words(["The X-ray of Δx", ""]) == reference.words(["The X-ray of Δx", ""])
