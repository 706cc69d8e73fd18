"""Late interaction by the real model: against an independent forward pass, kept pair by pair, interrupted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from doubles import Bars, collection

from rag_lab.kernels.pool import Pool
from rag_lab.l1_retrieval import late
from rag_lab.types import Collection

pytestmark = pytest.mark.network

TEXTS = [
    "Aspirin lowers a fever.",
    "Bonds pay interest.",
    "Copper is a metal, and so are iron, silver, gold, tin, zinc, lead, nickel and many others besides.",
    "Bonds pay interest.",  # the same again
    "",
    "naïve Δx 中文",
    "Rivers run into the sea.",
]
ASKED = [
    "What lowers a fever?",
    "interest",
    "Which of the metals that are known to man, copper and iron among them, is the one that conducts best of all?",
]


def pool(members: list[list[int]], places: int = 6) -> Pool:
    """Pools of these passages, padded by repeating the last."""
    passage = np.array([[*rows, *[rows[-1]] * (places - len(rows))] for rows in members], np.int32)
    real = np.arange(places) < np.array([len(rows) for rows in members])[:, None]
    return Pool(passage, np.zeros(passage.shape, np.float32), np.zeros(passage.shape, np.float32), real)


FIRST = pool([[0, 1, 2, 4], [1, 3, 5], [0, 2, 5, 6]])
SECOND = pool([[0, 3, 6], [1], [1, 2, 3, 4, 5, 6]])


@pytest.fixture(scope="module")
def corpus() -> Collection:
    return collection(TEXTS, ASKED, [{} for _ in ASKED])


@pytest.fixture(scope="module")
def expected(tensors: Mapping[str, np.ndarray], tokenizer_json: str) -> np.ndarray:
    """[queries, passages] by the second implementation."""

    def tokens(text: str) -> np.ndarray:
        return reference.token_vectors(reference.minilm_tokens(text, tokenizer_json), tensors)

    passages = [tokens(text) for text in TEXTS]
    return np.array([[reference.maxsim(tokens(query), passage) for passage in passages] for query in ASKED])


def agree(found: np.ndarray, pools: Pool, expected: np.ndarray) -> None:
    wanted = np.where(pools.real, expected[np.arange(len(ASKED))[:, None], pools.passage], np.nan)
    np.testing.assert_allclose(found, wanted, atol=2e-5)


def test_an_independent_forward_pass_agrees(corpus: Collection, expected: np.ndarray, cache: Path) -> None:
    bars = Bars()
    found = late.score(corpus, [FIRST, SECOND], bars)
    for one, pools in zip(found, (FIRST, SECOND), strict=True):
        assert one.dtype == np.float32
        agree(one, pools, expected)
    assert np.nanargmax(found[0], axis=1)[[0, 2]].tolist() == [0, 1]  # the fever's, the metals'
    assert [(bar.what, bar.total, bar.done, bar.unit) for bar in bars.opened if "tokens" in bar.what] == [
        ("compare tokens healthcare", 6, 6, "passages")
    ]


def test_kept_pairs_are_not_computed_again(
    corpus: Collection, expected: np.ndarray, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another pool costs what is new in it alone; other text's scores are never taken for these."""
    late.score(corpus, [FIRST], Bars())
    bars = Bars()
    (found,) = late.score(corpus, [SECOND], bars)
    agree(found, SECOND, expected)
    assert [bar.total for bar in bars.opened] == [3]  # passages 1, which is 3 too, 4 and 6
    with monkeypatch.context() as patch:
        patch.setattr(late, "_compute", None)
        again = Bars()
        agree(late.score(corpus, [SECOND, FIRST], again)[0], SECOND, expected)
        assert again.opened == []
        patch.setattr(late, "IDENTITY", "another scorer")
        with pytest.raises(TypeError):
            late.score(corpus, [FIRST], Bars())


def test_how_work_is_cut_changes_nothing(
    corpus: Collection, expected: np.ndarray, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("ROWS", 2), ("ROW_TOKENS", 3), ("BATCH_TOKENS", 16), ("SEGMENT_PASSAGES", 1)):
        monkeypatch.setattr(late, name, value)
    found = late.score(corpus, [FIRST, SECOND], Bars())
    agree(found[0], FIRST, expected)
    agree(found[1], SECOND, expected)
    assert len(list((cache / "late" / late.IDENTITY).iterdir())) > 2


def test_an_interruption_keeps_what_is_finished(
    corpus: Collection, expected: np.ndarray, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late, "BATCH_TOKENS", 8)  # a batch for each passage
    real, calls = late._maxsim, []

    def interrupted(*arguments: Any) -> np.ndarray:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(late, "_maxsim", interrupted)
        with pytest.raises(KeyboardInterrupt):
            late.score(corpus, [FIRST], Bars())
    bars = Bars()
    (found,) = late.score(corpus, [FIRST], bars)
    agree(found, FIRST, expected)
    assert bars.opened[-1].total == 6 - 3


def test_a_collection_without_queries_has_no_scores(cache: Path) -> None:
    empty = Pool(*(np.zeros((0, 4), kind) for kind in (np.int32, np.float32, np.float32, bool)))
    (found,) = late.score(collection(TEXTS, [], []), [empty], Bars())
    assert found.shape == (0, 4)
