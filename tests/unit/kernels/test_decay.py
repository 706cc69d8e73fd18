from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.kernels.decay import retention

DAY = 86_400.0
RATE = math.log(2) / (30 * DAY)


@pytest.mark.parametrize(("days", "left"), [(0, 1), (30, 0.5), (60, 0.25), (15, math.sqrt(0.5))])
def test_by_hand(days: float, left: float) -> None:
    assert float(retention(jnp.float32(days * DAY), RATE)) == pytest.approx(left, rel=1e-6)


def test_what_is_older_than_any_half_life_is_worth_nothing() -> None:
    assert float(retention(jnp.float32(1e12), RATE)) == 0


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1e8), st.floats(0, 1e8))
def test_two_ages_after_each_other_are_one(first: float, then: float) -> None:
    together = retention(jnp.float32(first + then), RATE)
    np.testing.assert_allclose(
        retention(jnp.float32(first), RATE) * retention(jnp.float32(then), RATE), together, rtol=1e-4, atol=1e-7
    )


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    alike(partial(retention, rate=RATE), [(jnp.float32(age),) for age in (0.0, 1.0, 1e5, 1e9)])


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        retention(jnp.ones(3), RATE)
