"""Signs of support: worked by hand, against sets of words, and properties."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.support import Head, Sentence, Signs, match, present, probability, signs

WIDTH, SIZE, HELD = 5, 3, 4  # words, dimensions, sentences of the evidence
HEAD = Head(cosine=2.0, covered=1.0, together=0.5, named=0.25, agrees=-1.0, bias=-0.5, threshold=0.5)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def sentence(words: list[int], vector: list[float], named: tuple[int, ...] = (), negated: bool = False) -> Sentence:
    stems = np.array(words + [0] * (WIDTH - len(words)), np.int32)
    return Sentence(
        jnp.asarray(unit(np.array(vector))),
        jnp.asarray(stems),
        jnp.asarray(np.isin(stems, named)),
        jnp.asarray(negated),
    )


def stacked(*parts: Sentence) -> Sentence:
    return jax.tree.map(lambda *each: jnp.stack(each), *parts)


_found = jax.jit(lambda claim, evidence, shown: signs(claim, match(claim, evidence), shown))


def example(seed: int) -> tuple[Sentence, Sentence, jnp.ndarray]:
    """A claim of small numbers, so that words are shared, with evidence partly shown."""
    random = np.random.default_rng(seed)

    def some(*shape: int) -> Sentence:
        stems = np.zeros((*shape, WIDTH), np.int32)
        for place in np.ndindex(*shape):
            held = random.integers(1, WIDTH + 1)
            stems[(*place, slice(0, held))] = random.choice(8, held, replace=False) + 1
        return Sentence(
            jnp.asarray(unit(random.normal(size=(*shape, SIZE)))),
            jnp.asarray(stems),
            jnp.asarray((random.random(stems.shape) < 0.4) & (stems > 0)),
            jnp.asarray(random.random(shape) < 0.5),
        )

    return some(), some(HELD), jnp.asarray(random.random(HELD) < 0.7)


def oracle(claim: Sentence, evidence: Sentence, shown: np.ndarray) -> Signs:
    """With Python's sets."""
    rows = np.flatnonzero(shown)
    if not len(rows):
        return Signs(0, 0, 0, 0, 0)
    wanted = {int(word) for word in claim.stems if word}
    names = {int(word) for word, flag in zip(claim.stems, claim.named, strict=True) if flag}
    held = [{int(word) for word in evidence.stems[row]} for row in rows]
    cosines = [float(np.dot(np.asarray(evidence.vector[row], float), np.asarray(claim.vector, float))) for row in rows]
    shares = [len(wanted & each) / len(wanted) for each in held]
    everything = set().union(*held)
    nearest = rows[int(np.argmax(np.array(cosines) + np.array(shares)))]
    return Signs(
        max(cosines),
        len(wanted & everything) / len(wanted),
        max(shares),
        len(names & everything) / len(names) if names else 1.0,
        float(bool(evidence.negated[nearest]) == bool(claim.negated)),
    )


def test_by_hand() -> None:
    """Words 1 2 3 4, of which 4 is a name: the first sentence holds 1 and 2, the second 2 and 3, none holds 4."""
    claim = sentence([1, 2, 3, 4], [1, 0, 0], named=(4,))
    evidence = stacked(sentence([1, 2, 9], [1, 1, 0], negated=True), sentence([2, 3], [0, 1, 0]))
    found = signs(claim, match(claim, evidence), jnp.array([True, True]))
    np.testing.assert_allclose(found, [math.sqrt(0.5), 0.75, 0.5, 0, 0], rtol=1e-6)
    second = signs(claim, match(claim, evidence), jnp.array([False, True]))
    np.testing.assert_allclose(second, [0, 0.5, 0.5, 0, 1], atol=1e-7)


def test_padding_is_never_present() -> None:
    wanted, given = jnp.array([1, 0, 0], jnp.int32), jnp.array([[0, 1, 0], [0, 0, 0]], jnp.int32)
    assert present(wanted, given).tolist() == [[True, False, False], [False, False, False]]


def test_without_evidence_nothing_speaks_for_the_claim() -> None:
    claim = sentence([1], [1, 0, 0])
    found = signs(claim, match(claim, stacked(claim)), jnp.array([False]))
    assert [float(sign) for sign in found] == [0, 0, 0, 0, 0]


def test_the_judgment_by_hand() -> None:
    total = 2 * 0.5 + 1 * 1 + 0.5 * 0.5 + 0.25 * 1 - 1 * 0 - 0.5
    found = probability(HEAD, Signs(*map(jnp.float32, (0.5, 1, 0.5, 1, 0))))
    assert float(found) == pytest.approx(1 / (1 + math.exp(-total)), rel=1e-6)


@pytest.mark.parametrize("seed", range(60))
def test_sets_of_words_agree(seed: int) -> None:
    claim, evidence, shown = example(seed)
    np.testing.assert_allclose(_found(claim, evidence, shown), oracle(claim, evidence, np.asarray(shown)), atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_a_claim_in_its_own_evidence_has_every_sign(seed: int) -> None:
    claim, evidence, _ = example(seed)
    with_itself = jax.tree.map(lambda many, one: many.at[2].set(one), evidence, claim)
    found = _found(claim, with_itself, jnp.ones(HELD, bool))
    np.testing.assert_allclose(found, [1, 1, 1, 1, 1], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(HELD)))
def test_the_order_of_the_evidence_changes_nothing(seed: int, order: list[int]) -> None:
    claim, evidence, shown = example(seed)
    turned = jax.tree.map(lambda part: part[jnp.array(order)], evidence)
    np.testing.assert_allclose(
        _found(claim, turned, shown[jnp.array(order)]), _found(claim, evidence, shown), atol=1e-6
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_more_evidence_never_takes_words_or_similarity_away(seed: int) -> None:
    claim, evidence, shown = example(seed)
    some, every = _found(claim, evidence, shown), _found(claim, evidence, jnp.ones(HELD, bool))
    for sign in ("cosine", "covered", "together"):
        if shown.any():
            assert getattr(every, sign) >= getattr(some, sign) - 1e-6
    assert all(0 <= float(sign) <= 1 + 1e-6 for sign in every[1:])


def test_alone_jitted_and_mapped(alike: Callable[..., Any]) -> None:
    alike(lambda claim, evidence, shown: signs(claim, match(claim, evidence), shown), [example(n) for n in range(4)])
    alike(lambda *found: probability(HEAD, Signs(*found)), [tuple(jnp.full(5, n / 4)) for n in range(4)])
