from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rag_lab.kernels.resample import bootstrap_means, counts, over_seeds, sign_flip

KEY = jax.random.key(0)
RESAMPLES = 10_000
CLUSTERS = 9
_counts = jax.jit(counts, static_argnames=("things", "resamples"))
_sign_flip = jax.jit(sign_flip, static_argnames="resamples")
# Hundredths, as whole numbers: sums are then equal or clearly apart, as those of real per-query metrics are.
hundredths = arrays(np.int32, CLUSTERS, elements=st.integers(-100, 100))


def test_counts_are_draws_with_replacement() -> None:
    """Each row counts as many draws as there are things, like a multinomial: mean 1, variance 1 − 1/n."""
    drawn = np.asarray(_counts(KEY, 12, RESAMPLES))
    assert drawn.shape == (RESAMPLES, 12)
    assert (drawn.sum(axis=1) == 12).all() and (drawn == np.round(drawn)).all() and drawn.min() == 0
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=4 * np.sqrt(11 / 12 / RESAMPLES))
    np.testing.assert_allclose(drawn.var(axis=0), 11 / 12, rtol=0.1)
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(-1 / 11, abs=0.04)


def test_resamples_differ_and_come_back_with_the_key() -> None:
    drawn = np.asarray(_counts(KEY, 12, RESAMPLES))
    assert len(np.unique(drawn, axis=0)) > 0.95 * RESAMPLES
    assert (drawn == np.asarray(_counts(KEY, 12, RESAMPLES))).all()
    assert (drawn != np.asarray(_counts(jax.random.key(1), 12, RESAMPLES))).any()


def test_one_thing_is_always_drawn() -> None:
    assert _counts(KEY, 1, 3).tolist() == [[1], [1], [1]]


def test_bootstrap_means_by_hand() -> None:
    """Clusters with sums 3 (of two queries) and 1 (of one): drawing the first twice gives 6/4."""
    drawn = jnp.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])
    means = bootstrap_means(drawn, jnp.array([[3.0, 0.0], [1.0, 6.0]]), jnp.array([2, 1]))
    np.testing.assert_allclose(means, [[4 / 3, 2], [1.5, 0], [1, 6]], rtol=1e-6)


def test_over_seeds_by_hand() -> None:
    drawn, means = jnp.array([[2.0, 0.0], [1.0, 1.0]]), jnp.array([[3.0, 5.0], [3.0, 5.0]])
    assert over_seeds(drawn, means).tolist() == [3, 4]


def test_numpy_agrees_draw_by_draw() -> None:
    """Repeating whole clusters as often as they were drawn gives the same means."""
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(12), random.integers(1, 5, 12))
    values, sizes = random.random(len(clusters)), np.bincount(clusters)
    drawn = np.asarray(_counts(KEY, 12, RESAMPLES))[:200]
    means = bootstrap_means(
        jnp.array(drawn), jnp.array(np.bincount(clusters, values)[:, None], jnp.float32), jnp.array(sizes)
    )
    for row, mean in zip(drawn, np.asarray(means)[:, 0], strict=True):
        assert mean == pytest.approx(np.repeat(values, row[clusters].astype(int)).mean(), rel=1e-5)


def test_the_naive_bootstrap_agrees() -> None:
    random = np.random.default_rng(1)
    clusters = np.repeat(np.arange(12), random.integers(1, 6, 12))
    values = random.normal(0.5, 0.1, 12)[clusters] + random.normal(0, 0.1, len(clusters))
    naive = reference.cluster_bootstrap(values, clusters, 4000, random)
    total = jnp.array(np.bincount(clusters, values)[:, None], jnp.float32)
    ours = bootstrap_means(_counts(KEY, 12, RESAMPLES), total, jnp.array(np.bincount(clusters)))[:, 0]
    assert np.std(ours) == pytest.approx(naive.std(), rel=0.06)
    np.testing.assert_allclose(
        np.quantile(ours, [0.025, 0.5, 0.975]), np.quantile(naive, [0.025, 0.5, 0.975]), atol=0.15 * naive.std()
    )


def test_sign_flip_by_hand() -> None:
    """Of the eight labellings of (3, 2, 1), |sum| reaches 4 in four; zeros change nothing."""
    cluster_sums = jnp.zeros(CLUSTERS).at[:3].set(jnp.array([3.0, 2.0, -1.0]))
    assert float(_sign_flip(KEY, cluster_sums, RESAMPLES)) == pytest.approx(0.5, abs=0.02)


@settings(max_examples=25, deadline=None)
@given(hundredths)
def test_all_labellings_agree(sums: np.ndarray) -> None:
    exact = reference.exact_sign_flip(sums, range(CLUSTERS))
    estimate = float(_sign_flip(KEY, jnp.array(sums / 100, jnp.float32), RESAMPLES))
    assert estimate == pytest.approx(exact, abs=5 * np.sqrt(0.25 / RESAMPLES))


@settings(max_examples=25, deadline=None)
@given(hundredths, st.sampled_from([-4.0, -1.0, 0.5, 1024.0]))
def test_neither_direction_nor_unit_matters(sums: np.ndarray, factor: float) -> None:
    one, other = (
        float(_sign_flip(KEY, jnp.array(each, jnp.float32), RESAMPLES)) for each in (sums / 100, factor * sums / 100)
    )
    assert one == other


def test_the_naive_permutation_agrees_where_not_all_labellings_can_be_tried() -> None:
    random = np.random.default_rng(2)
    clusters = np.repeat(np.arange(40), 3)
    differences = random.normal(0.05, 0.25, 120)
    naive = reference.sign_flip(differences, clusters, 5000, random)
    total = jnp.array(np.bincount(clusters, differences), jnp.float32)
    assert float(_sign_flip(KEY, total, RESAMPLES)) == pytest.approx(naive, abs=0.03)


def test_no_difference_is_certain_and_none_is_never_zero() -> None:
    assert float(_sign_flip(KEY, jnp.zeros(CLUSTERS), RESAMPLES)) == 1
    assert float(_sign_flip(KEY, jnp.ones(40), RESAMPLES)) == pytest.approx(1 / (RESAMPLES + 1))


def test_p_values_are_uniform_where_nothing_differs() -> None:
    """The share of null data sets below each level is that level."""
    nulls = jnp.array(np.random.default_rng(3).normal(size=(400, CLUSTERS)), jnp.float32)
    flip = jax.jit(jax.vmap(lambda one: sign_flip(KEY, one, 500)))
    p_values = np.asarray(flip(nulls))
    for level in (0.05, 0.2, 0.5):
        assert (p_values <= level).mean() == pytest.approx(level, abs=3.5 * np.sqrt(level * (1 - level) / 400))


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    drawn, sizes = jnp.array(random.integers(1, 3, (7, 5)), jnp.float32), jnp.array([1, 2, 3, 1, 1])
    columns = [jnp.array(random.random((5, 2)), jnp.float32) for _ in range(2)]

    def cheap(sums: jax.Array) -> tuple[jax.Array, jax.Array]:
        means = bootstrap_means(drawn, sums, sizes)
        return means, over_seeds(drawn[:, :2], means)

    alike(cheap, [(one,) for one in columns])
    keys = jax.random.split(KEY, 2)
    alike(lambda key, sums: sign_flip(key, sums[:, 0], 50), list(zip(keys, columns, strict=True)))
    assert counts(KEY, 5, 7).tolist() == _counts(KEY, 5, 7).tolist()


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        bootstrap_means(jnp.ones((3, 2)), jnp.ones((4, 1)), jnp.ones(4, int))
