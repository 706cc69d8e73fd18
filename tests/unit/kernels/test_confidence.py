from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.confidence import attention, others_mean, position_correction, quotient, reliability

LARGE = 2**29  # sums of grains stay below it
trusted = partial(reliability, scale=1024, cost=16)
_trusted, _quotient = jax.jit(trusted), jax.jit(quotient)


def whole(*numbers: int) -> tuple[jax.Array, ...]:
    return tuple(jnp.int32(number) for number in numbers)


@pytest.mark.parametrize(
    ("total", "count", "own", "mean"),
    [(100, 0, 100, 0), (300, 1, 100, 200), (301, 2, 100, 101), (300, 2, 100, 100), (500, 3, 100, 133)],
)
def test_others_mean_by_hand(total: int, count: int, own: int, mean: int) -> None:
    """Of 300 in all 100 are one's own, so the only other said 200; (301 − 100)/2 = 100.5 is rounded up."""
    assert int(others_mean(*whole(total, count, own))) == mean


def test_reliability_by_hand() -> None:
    """Ten items 160 grains apart in all, each taking 16 parts, and two that showed one half: (10240 − 2560 +
    1024)/12.
    """
    assert int(trusted(*whole(160, 10, 2, 512))) == 8704 // 12


@pytest.mark.parametrize(
    ("apart", "items", "prior_items", "prior", "parts"),
    [
        (0, 0, 4, 717, 717),  # nothing known: the prior, exactly
        (0, 1000, 4, 1024, 1024),  # perfect agreement, and a perfect prior
        (640, 10, 4, 0, 0),  # half the scale apart
        (1280, 10, 4, 1024, 0),  # all of it
        (700, 10, 10, 1024, 1024 // 2 - 48),  # a little too far, which the prior makes up for
        (0, 1 << 22, 1000, 0, (1024 << 22) // ((1 << 22) + 1000)),  # everything that a batch can hold
        (1 << 29, 1 << 22, 1, 1024, 0),
    ],
)
def test_reliability_at_its_limits(apart: int, items: int, prior_items: int, prior: int, parts: int) -> None:
    assert int(trusted(*whole(apart, items, prior_items, prior))) == parts


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 1 << 22).flatmap(lambda items: st.tuples(st.integers(0, 128 * items), st.just(items))),
    st.integers(1, 1000),
    st.integers(0, 1024),
)
def test_reliability_is_exact(given: tuple[int, int], prior_items: int, prior: int) -> None:
    apart, items = given
    exact = max(1024 * items - 16 * apart + prior_items * prior, 0) // (items + prior_items)
    assert int(_trusted(*whole(apart, items, prior_items, prior))) == exact


@settings(max_examples=300, deadline=None)
@given(st.integers(0, (1 << 20) - 1), st.integers(1, (1 << 30) - 1), st.floats(0, 1, exclude_max=True))
def test_quotient_is_exact(result: int, divisor: int, share: float) -> None:
    part = min(result * divisor + int(share * divisor), (1 << 30) - 1)
    assert int(_quotient(*whole(part, divisor))) == part // divisor


@pytest.mark.parametrize("divisor", [1, 3, 127, 4095, 1 << 22, (1 << 30) - 1])
def test_quotient_on_and_beside_multiples(divisor: int) -> None:
    parts = [result * divisor + more for result in (0, 1, 2, 127, 1023, 2**20 - 2) for more in (-1, 0, 1)]
    parts = [part for part in parts if 0 <= part < 1 << 30]
    found = jax.vmap(quotient, in_axes=(0, None))(jnp.array(parts, jnp.int32), jnp.int32(divisor))
    assert found.tolist() == [part // divisor for part in parts]


@pytest.mark.parametrize(("dwell", "evidence"), [(0, 0), (5, 1 - 1 / math.e), (10, 1 - math.exp(-2)), (1e30, 1)])
def test_attention_by_hand(dwell: float, evidence: float) -> None:
    assert float(attention(jnp.float32(dwell), 5.0)) == pytest.approx(evidence, rel=1e-6)


def test_a_glance_is_a_little_evidence() -> None:
    """1 − exp(−x) is x for small x, which float32 would round to 0 or to twice as much."""
    assert float(attention(jnp.float32(5e-8), 5.0)) == pytest.approx(1e-8, rel=1e-5)


@pytest.mark.parametrize(("position", "correction"), [(1, 0.1**0.5), (4, 0.4**0.5), (10, 1), (11, 1), (2**31 - 1, 1)])
def test_position_by_hand(position: int, correction: float) -> None:
    assert float(position_correction(jnp.int32(position), 0.5, 10)) == pytest.approx(correction, rel=1e-6)


def test_the_correction_undoes_the_propensity() -> None:
    """Down to the depth, propensity times correction is the same at every position."""
    positions = jnp.arange(1, 11)
    correction = jax.vmap(partial(position_correction, severity=0.8, depth=10))(positions)
    np.testing.assert_allclose(correction * positions.astype(jnp.float32) ** -0.8, 10**-0.8, rtol=1e-5)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    alike(others_mean, [whole(300, 2, 100), whole(7, 0, 7), whole(9, 4, 2)])
    alike(trusted, [whole(160, 10, 2, 512), whole(700, 10, 10, 1024), whole(0, 0, 4, 717)])
    alike(quotient, [whole(3, 7), whole(7, 7), whole(1 << 29, 1 << 22)])
    alike(partial(attention, attention_s=5.0), [(jnp.float32(dwell),) for dwell in (0.0, 3.0, 1e9)])
    alike(partial(position_correction, severity=0.5, depth=10), [whole(position) for position in (1, 7, 30)])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        others_mean(jnp.ones(2, jnp.int32), jnp.int32(1), jnp.int32(1))
    with pytest.raises(jaxtyping.TypeCheckError):
        attention(jnp.int32(1), 5.0)
