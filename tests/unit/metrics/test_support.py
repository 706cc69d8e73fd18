"""Signs of many claims at once: the kernel's, claim by claim, whatever the sizes and the order."""

from __future__ import annotations

import bags
import jax.numpy as jnp
import numpy as np
import pytest

from rag_lab.kernels import support as kernel
from rag_lab.metrics import support
from rag_lab.types import Passage

TEXTS = [f"Word{n} and word{n + 1} rest near river{n % 7}. It does not sleep in {1900 + n}." for n in range(60)]
CLAIMS = [
    "Word3 rests near River3.",
    "Word50 did not sleep in 1950.",
    "Elephants migrate.",
    "river1 river2 river3",
]


def test_the_kernel_agrees_claim_by_claim() -> None:
    shelf = bags.shelf()
    rows = shelf.passages([Passage(str(n), "", text, n) for n, text in enumerate(TEXTS)])
    evidence = [np.concatenate(rows[first : first + size]) for first, size in ((0, 4), (40, 20), (0, 60), (1, 1))]
    found = support.signs(shelf, CLAIMS, evidence)
    for claim, its, row in zip(CLAIMS, evidence, found, strict=True):
        one, many = shelf.take(shelf.rows([claim])[0]), shelf.take(its)
        expected = kernel.signs(one, kernel.match(one, many), jnp.ones(len(its), bool))
        np.testing.assert_allclose(row, expected, atol=1e-6)
    turned = support.signs(shelf, CLAIMS[::-1], evidence[::-1])
    np.testing.assert_allclose(turned[::-1], found, atol=1e-6)


def test_without_evidence_every_sign_is_0_and_without_claims_there_is_none() -> None:
    shelf = bags.shelf()
    assert support.signs(shelf, ["Elephants migrate."], [np.zeros(0, int)]).tolist() == [[0] * 5]
    assert support.signs(shelf, [], []).shape == (0, 5)


@pytest.mark.parametrize(
    ("sentence", "claim"),
    [
        ("France", "Where is it made? France"),
        ("Sleep helps the brain store new memories.", "Sleep helps the brain store new memories."),
    ],
)
def test_a_short_sentence_is_read_with_its_question(sentence: str, claim: str) -> None:
    assert support.claim("Where is it made?", sentence) == claim
