"""Multinomial logistic regression: optimality, worked cases, jit and vmap."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from rag_lab.kernels.logistic import Head, fit, logits, loss

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(90, 4)).astype(np.float32)
LABELS = (X[:, :3] + RANDOM.normal(0, 0.5, (90, 3))).argmax(axis=1)
FIT = jax.jit(fit, static_argnums=(2, 4))


def test_the_gradient_vanishes_at_what_is_found() -> None:
    head = FIT(X, LABELS, 3, 0.01, 2000)
    slope = jax.grad(loss)(head, jnp.asarray(X), jnp.asarray(LABELS), 0.01)
    assert max(float(jnp.abs(one).max()) for one in jax.tree.leaves(slope)) < 1e-5


def test_no_neighbour_is_better() -> None:
    head = FIT(X, LABELS, 3, 0.01, 2000)
    best = float(loss(head, jnp.asarray(X), jnp.asarray(LABELS), 0.01))
    for seed in range(20):
        keys = jax.random.split(jax.random.key(seed))
        near = Head(*(one + 0.05 * jax.random.normal(key, one.shape) for one, key in zip(head, keys, strict=True)))
        assert float(loss(near, jnp.asarray(X), jnp.asarray(LABELS), 0.01)) > best


def test_without_features_the_bias_learns_the_shares() -> None:
    labels = np.array([0, 0, 0, 1])
    head = FIT(np.zeros((4, 2), np.float32), labels, 2, 0.1, 2000)
    shares = jax.nn.softmax(logits(head, jnp.zeros(2)))
    np.testing.assert_allclose(shares, [0.75, 0.25], atol=1e-4)


def test_eager_and_vmapped_agree_with_jit() -> None:
    head = FIT(X, LABELS, 3, 0.01, 20)
    eager = fit(jnp.asarray(X), jnp.asarray(LABELS), 3, 0.01, 20)
    np.testing.assert_allclose(head.weights, eager.weights, atol=1e-5)
    many = jax.vmap(logits, in_axes=(None, 0))(head, jnp.asarray(X))
    np.testing.assert_allclose(many, X @ head.weights + head.bias, atol=1e-5)
