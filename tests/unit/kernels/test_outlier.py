from __future__ import annotations

import statistics
from collections.abc import Callable

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.outlier import Spread, robust_z, sigma_z, spread

HALF = 128
SIZE = 2 * HALF + 1
_spread = jax.jit(spread)
values = st.lists(st.integers(-HALF, HALF), min_size=1, max_size=40)


def counts(numbers: list[int]) -> jax.Array:
    return jnp.asarray(np.bincount(np.array(numbers, int) + HALF, minlength=SIZE), jnp.int32)


def test_by_hand() -> None:
    """1, 2, 3, 4, 10: mean 4, sample variance 50/4, median 3, distances 0 1 1 2 7 with median 1 and mean 11/5."""
    found = _spread(counts([1, 2, 3, 4, 10]))
    assert (int(found.pivot), float(found.offset)) == (4, 0)
    assert float(found.deviation) == pytest.approx(12.5**0.5)
    assert (float(found.median), float(found.mad)) == (3, 1)
    assert float(found.mean_ad) == pytest.approx(2.2)
    assert float(sigma_z(jnp.int32(10), found)) == pytest.approx(6 / 12.5**0.5)
    assert float(robust_z(jnp.int32(10), found)) == pytest.approx(0.6745 * 7)


def test_an_even_number_of_values_has_its_median_between_two() -> None:
    """1, 2, 5, 9: median 3.5; distances 1.5, 1.5, 2.5, 5.5 with median 2."""
    found = _spread(counts([1, 2, 5, 9]))
    assert (float(found.median), float(found.mad)) == (3.5, 2)


def test_where_most_are_equal_the_mean_deviation_stands_in() -> None:
    """Eight times 0 and one 9: MAD 0, mean absolute deviation 1."""
    found = _spread(counts([0] * 8 + [9]))
    assert (float(found.mad), float(found.mean_ad)) == (0, 1)
    assert float(robust_z(jnp.int32(9), found)) == pytest.approx(9 / 1.253314)


@pytest.mark.parametrize("numbers", [[], [7], [-128] * 3, [128] * 1000])
def test_no_spread_no_outlier(numbers: list[int]) -> None:
    found = _spread(counts(numbers))
    for value in (numbers or [0])[:1]:
        assert float(sigma_z(jnp.int32(value), found)) == 0
        assert float(robust_z(jnp.int32(value), found)) == 0
    assert float(found.deviation) == float(found.mad) == float(found.mean_ad) == 0


@settings(max_examples=60, deadline=None)
@given(values)
def test_the_statistics_module_agrees(numbers: list[int]) -> None:
    found = _spread(counts(numbers))
    median = statistics.median(numbers)
    assert float(found.median) == median
    assert float(found.mad) == statistics.median(abs(value - median) for value in numbers)
    assert float(found.pivot + found.offset) == pytest.approx(statistics.fmean(numbers), rel=1e-5, abs=1e-5)
    expected = statistics.stdev(numbers) if len(numbers) > 1 else 0
    assert float(found.deviation) == pytest.approx(expected, rel=1e-5, abs=1e-6)
    mean_ad = statistics.fmean(abs(value - median) for value in numbers)
    assert float(found.mean_ad) == pytest.approx(mean_ad, rel=1e-5)


@settings(max_examples=30, deadline=None)
@given(values, st.integers(-HALF, HALF))
def test_mirrored_values_mirror_the_statistics(numbers: list[int], value: int) -> None:
    one, other = _spread(counts(numbers)), _spread(counts([-number for number in numbers]))
    assert float(one.median) == -float(other.median) and float(one.mad) == float(other.mad)
    for z in (sigma_z, robust_z):
        np.testing.assert_allclose(z(jnp.int32(value), one), z(jnp.int32(-value), other), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("n", "fires"), [(10, False), (11, True)])
def test_three_sigma_needs_eleven(n: int, fires: bool) -> None:
    """The largest possible z of n values is (n − 1)/√n: 2.85 for 10, 3.02 for 11."""
    found = _spread(counts([0] * (n - 1) + [128]))
    z = float(sigma_z(jnp.int32(128), found))
    assert z == pytest.approx((n - 1) / n**0.5, rel=1e-5) and (z > 3) == fires


def test_millions_of_values_keep_seven_digits() -> None:
    """Four million times 127 and once -100: the mean lies 5·10⁻⁵ below 127, which float32 alone could not hold."""
    many = 4_000_000
    found = _spread(jnp.zeros(SIZE, jnp.int32).at[127 + HALF].set(many).at[-100 + HALF].set(1))
    mean = 127 - 227 / (many + 1)
    assert int(found.pivot) == 127 and float(found.offset) == pytest.approx(mean - 127, rel=1e-5)
    deviation = ((many * (127 - mean) ** 2 + (100 + mean) ** 2) / many) ** 0.5
    assert float(found.deviation) == pytest.approx(deviation, rel=1e-5)
    assert float(sigma_z(jnp.int32(-100), found)) == pytest.approx((100 + mean) / deviation, rel=1e-5)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [counts(random.integers(-HALF, HALF + 1, size).tolist()) for size in (1, 2, 9, 40)]
    alike(spread, [(example,) for example in examples])
    found = [_spread(example) for example in examples]
    for z in (sigma_z, robust_z):
        alike(z, [(jnp.int32(17), one) for one in found])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        spread(jnp.ones((2, 5), jnp.int32))
    with pytest.raises(jaxtyping.TypeCheckError):
        sigma_z(jnp.float32(0.5), Spread(*_spread(counts([1, 2]))))
