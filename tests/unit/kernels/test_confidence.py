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

from rag_lab.kernels.confidence import attention, others_mean, position_correction, reliability, share

LARGE = 2**29  # sums of grains stay below it
_reliability, _share = jax.jit(reliability), jax.jit(share)


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
    """Found 30 where chance would be 90, and a prior of one half worth 10: (90 − 30 + 5)/100."""
    assert int(reliability(*whole(30, 90, 10, 512))) == 1024 * 65 // 100


@pytest.mark.parametrize(
    ("found", "expected", "prior_expected", "prior", "share"),
    [
        (0, 0, 4, 717, 717),  # nothing known: the prior, exactly
        (0, 1000, 4, 1024, 1024),  # perfect agreement, and a perfect prior
        (1000, 1000, 4, 0, 0),  # chance
        (1500, 1000, 4, 1024, 0),  # worse than chance
        (103, 100, 100, 1024, 1024 * 97 // 200),  # a little worse than chance, which the prior makes up for
    ],
)
def test_reliability_at_its_limits(found: int, expected: int, prior_expected: int, prior: int, share: int) -> None:
    assert int(reliability(*whole(found, expected, prior_expected, prior))) == share


@settings(max_examples=200, deadline=None)
@given(st.integers(0, LARGE), st.integers(0, LARGE), st.integers(1, 128_000), st.integers(0, 1024))
def test_reliability_is_exact(found: int, expected: int, prior_expected: int, prior: int) -> None:
    exact = max(1024 * (expected - found) + prior_expected * prior, 0) // (expected + prior_expected)
    assert int(_reliability(*whole(found, expected, prior_expected, prior))) == exact


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 2**30 - 1).flatmap(lambda size: st.tuples(st.integers(0, size), st.just(size))))
def test_share_is_exact(pair: tuple[int, int]) -> None:
    part, size = pair
    assert tuple(int(each) for each in _share(*whole(part, size))) == divmod(1024 * part, size)


@pytest.mark.parametrize(("dwell", "evidence"), [(0, 0), (5, 1 - 1 / math.e), (10, 1 - math.exp(-2)), (1e30, 1)])
def test_attention_by_hand(dwell: float, evidence: float) -> None:
    assert float(attention(jnp.float32(dwell), 5.0)) == pytest.approx(evidence, rel=1e-6)


def test_a_glance_is_a_little_evidence() -> None:
    """1 − exp(−x) is x for small x, which float32 would round to 0 or to twice as much."""
    assert float(attention(jnp.float32(5e-8), 5.0)) == pytest.approx(1e-8, rel=1e-5)


@pytest.mark.parametrize(
    ("position", "correction"), [(1, 0.1**0.5), (4, 0.4**0.5), (10, 1), (11, 1), (2**31 - 1, 1)]
)
def test_position_by_hand(position: int, correction: float) -> None:
    assert float(position_correction(jnp.int32(position), 0.5, 10)) == pytest.approx(correction, rel=1e-6)


def test_the_correction_undoes_the_propensity() -> None:
    """Down to the depth, propensity times correction is the same at every position."""
    positions = jnp.arange(1, 11)
    correction = jax.vmap(partial(position_correction, severity=0.8, depth=10))(positions)
    np.testing.assert_allclose(correction * positions.astype(jnp.float32) ** -0.8, 10**-0.8, rtol=1e-5)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    alike(others_mean, [whole(300, 2, 100), whole(7, 0, 7), whole(9, 4, 2)])
    alike(reliability, [whole(30, 90, 10, 512), whole(103, 100, 100, 1024), whole(0, 0, 4, 717)])
    alike(share, [whole(3, 7), whole(7, 7), whole(0, 1)])
    alike(partial(attention, attention_s=5.0), [(jnp.float32(dwell),) for dwell in (0.0, 3.0, 1e9)])
    alike(partial(position_correction, severity=0.5, depth=10), [whole(position) for position in (1, 7, 30)])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        others_mean(jnp.ones(2, jnp.int32), jnp.int32(1), jnp.int32(1))
    with pytest.raises(jaxtyping.TypeCheckError):
        attention(jnp.int32(1), 5.0)
