"""The listwise scorer and its optimiser."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rag_lab.kernels.listwise import Scorer, loss, rest, score, start, step

PLACES, FEATURES, HIDDEN = 6, 3, 4


def example(seed: int = 0) -> tuple[Scorer, jax.Array, jax.Array, jax.Array]:
    random = np.random.default_rng(seed)
    scorer = Scorer(*(jnp.asarray(random.normal(size=shape), jnp.float32) for shape in ((3,), (3, 4), (4,), (4,))))
    features = jnp.asarray(random.normal(size=(PLACES, FEATURES)), jnp.float32)
    return scorer, features, jnp.array([0, 2, 0, 1, 0, 3], jnp.int32), jnp.array([True] * 5 + [False])


def test_it_starts_as_the_weighted_sum() -> None:
    linear = jnp.array([0.3, 0.7, 0.0])
    _, features, _, _ = example()
    np.testing.assert_allclose(score(start(jax.random.key(0), linear, HIDDEN), features), features @ linear, rtol=1e-6)


def test_loss_by_hand() -> None:
    """Two candidates of equal score, one relevant: − log ½. Without a relevant one: 0."""
    flat = start(jax.random.key(0), jnp.zeros(1), 1)
    features, real = jnp.zeros((2, 1)), jnp.ones(2, bool)
    assert float(loss(flat, features, jnp.array([1, 0]), real)) == pytest.approx(np.log(2))
    assert float(loss(flat, features, jnp.array([0, 0]), real)) == 0


def test_the_naive_loss_agrees_and_padding_takes_no_part() -> None:
    scorer, features, grades, real = example()
    values = np.asarray(score(scorer, features), np.float64)[:5]
    chance = np.exp(values - values.max()) / np.exp(values - values.max()).sum()
    expected = -(2 * np.log(chance[1]) + np.log(chance[3])) / 3
    assert float(loss(scorer, features, grades, real)) == pytest.approx(expected, rel=1e-5)


def test_the_order_of_places_does_not_matter() -> None:
    scorer, features, grades, real = example()
    turned = np.random.default_rng(1).permutation(PLACES)
    assert float(loss(scorer, features[turned], grades[turned], real[turned])) == pytest.approx(
        float(loss(scorer, features, grades, real)), rel=1e-5
    )


def test_one_step_of_adam_by_hand() -> None:
    """The first step goes by the rate, whatever the gradient's size, and weight decay shrinks beside it."""
    after, memory = step(
        lambda x: 4 * x, jnp.array([2.0, -1.0]), rest(jnp.zeros(2)), jnp.float32(0.1), jnp.float32(0.5)
    )
    np.testing.assert_allclose(after, [2 - 0.1 * (1 + 0.5 * 2), -1 - 0.1 * (-1 - 0.5)], rtol=1e-5)
    assert int(memory.steps) == 1


def test_it_learns_which_feature_matters() -> None:
    """Relevance follows the third feature alone: after training it is ranked first nearly always."""
    random = np.random.default_rng(2)
    features = jnp.asarray(random.normal(size=(200, PLACES, FEATURES)), jnp.float32)
    grades = jax.nn.one_hot(features[:, :, 2].argmax(axis=1), PLACES).astype(jnp.int32)
    real = jnp.ones((200, PLACES), bool)
    state = start(jax.random.key(0), jnp.zeros(FEATURES), HIDDEN)

    def slope(scorer: Scorer) -> Scorer:
        return jax.grad(lambda one: jax.vmap(partial(loss, one))(features, grades, real).mean())(scorer)

    @jax.jit
    def train(state: Scorer) -> Scorer:
        def one(carry: tuple[Scorer, object], _: None) -> tuple[tuple[Scorer, object], None]:
            return step(slope, *carry, jnp.float32(0.05), jnp.float32(0.0)), None

        return jax.lax.scan(one, (state, rest(state)), None, length=100)[0][0]

    after = train(state)
    first = jax.vmap(partial(score, after))(features).argmax(axis=1)
    assert float((first == grades.argmax(axis=1)).mean()) > 0.95


def test_with_and_without_jit_and_vmap() -> None:
    examples = [example(seed) for seed in range(3)]
    together = jax.jit(jax.vmap(loss))(
        *(jax.tree.map(lambda *x: jnp.stack(x), *part) for part in zip(*examples, strict=True))
    )
    for number, one in enumerate(examples):
        assert float(together[number]) == pytest.approx(float(loss(*one)), rel=1e-5)
