"""What is shown: budgets kept to the token, cuts at the ends of sentences, diversity as the kernels have it."""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
import pytest
from doubles import Bars
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.encoder import sentences, wordpiece
from rag_lab.kernels import diversify
from rag_lab.l3_answer import prompt, shown
from rag_lab.l3_answer.shown import Scissors
from rag_lab.types import Passage

TOKENIZER = wordpiece.load(None, Bars())
EVIDENCE = [
    Passage("a", "Vitamin D", "It's made in the skin, isn't it? By UV-B. See fig. 2.\n- 5,000 IU a day", 0),
    Passage("b", "", "Rest helps. So does light. Naïve dosing doesn't.", 1),
    Passage("c", "Light", "It is enough.", 2),
]


def count(texts: Sequence[str]) -> np.ndarray:
    encoded = TOKENIZER.encode_batch_fast(list(texts), add_special_tokens=False)
    return np.array([len(one.ids) for one in encoded])


def size(passages: Sequence[Passage]) -> int:
    """Tokens that these passages take in the prompt."""
    texts = [prompt.shown(number, passage) for number, passage in enumerate(passages, 1)]
    return int(count(texts).sum()) if texts else 0


@pytest.fixture(scope="module")
def scissors() -> Scissors:
    made = Scissors(count)
    made.learn(EVIDENCE)
    return made


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 80))
def test_the_budget_is_kept_and_used(scissors: Scissors, budget: int) -> None:
    """What is shown fits, begins as the evidence does, and one more sentence would not fit."""
    cut = scissors.cut(EVIDENCE, budget)
    assert size(cut) <= budget
    assert [one.id for one in cut] == [one.id for one in EVIDENCE[: len(cut)]]
    assert all(whole == kept for whole, kept in zip(EVIDENCE, cut[:-1], strict=False))
    if cut:
        parts, kept = sentences.split(EVIDENCE[len(cut) - 1].text), sentences.split(cut[-1].text)
        assert kept == parts[: len(kept)]
        more = cut
        if len(kept) < len(parts):
            text = sentences.beginning(EVIDENCE[len(cut) - 1].text, len(kept) + 1)
            more = (*cut[:-1], cut[-1]._replace(text=text))
        elif len(cut) < len(EVIDENCE):
            text = sentences.beginning(EVIDENCE[len(cut)].text, 1)
            more = (*cut, EVIDENCE[len(cut)]._replace(text=text))
        assert more == cut or size(more) > budget


def test_by_hand(scissors: Scissors) -> None:
    """All of it takes 62 tokens; the first sentence alone, with mark and title, 15."""
    assert scissors.cut(EVIDENCE, size(EVIDENCE)) == tuple(EVIDENCE)
    first = EVIDENCE[0]._replace(text="It's made in the skin, isn't it?")
    assert scissors.cut(EVIDENCE, size([first])) == (first,)
    assert scissors.cut(EVIDENCE, size([first]) - 1) == ()
    assert scissors.cut([], 100) == ()


@given(st.text(alphabet="aB1 .!?\n\"'()", max_size=60), st.integers(0, 6))
def test_a_beginning_splits_into_the_first_sentences(text: str, number: int) -> None:
    beginning = sentences.beginning(text, number)
    assert text.startswith(beginning)
    assert sentences.split(beginning) == sentences.split(text)[:number]


def test_diversified_lists_are_the_kernel_s_and_begin_alike() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(size=(3, 8, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    scores, real = random.random((3, 8)).astype(np.float32), np.ones((3, 8), bool)
    real[1, 5:] = False
    six = np.asarray(shown.diversified(scores, vectors, real, np.float32(0.6), 6))
    for row in range(3):
        likeness = vectors[row] @ vectors[row].T
        given = (jnp.asarray(scores[row]), jnp.asarray(likeness), jnp.asarray(real[row]))
        expected = diversify.mmr(*given, jnp.float32(0.6), 6)
        np.testing.assert_array_equal(six[row], expected)
    np.testing.assert_array_equal(shown.diversified(scores, vectors, real, np.float32(0.6), 3), six[:, :3])
    assert (six[1] >= 0).sum() == 5
    by_score = np.argsort(-scores[0])[:6]
    np.testing.assert_array_equal(shown.diversified(scores, vectors, real, np.float32(1), 6)[0], by_score)


def test_diversity_by_hand() -> None:
    """Two alike and one across: of three pairs one is 0 and two are 1; a single passage has no pair."""
    vectors = np.array([[[1.0, 0], [1, 0], [0, 1]], [[1, 0], [0, 1], [0, 1]]], np.float32)
    real = np.array([[True, True, True], [True, False, False]])
    np.testing.assert_allclose(shown.diversity(vectors, real), [2 / 3, 0], atol=1e-6)
