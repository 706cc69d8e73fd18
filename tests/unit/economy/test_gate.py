from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag_lab.economy import gate

TIER = jnp.array([0, 0, 1, 2])
RULE = {"answers": 4, "least": 0.0, "deviations": 2.0}
gains = st.lists(
    st.tuples(st.integers(0, 3), st.floats(-1, 1, width=32, allow_subnormal=False) | st.just(float("nan"))),
    max_size=12,
)
_judge = jax.jit(gate.judge, static_argnames=("answers", "least", "deviations"))


def after(heard: list[tuple[int, float]], **rule: float) -> gate.Gate:
    found = gate.begin(TIER, 3)
    for action, gain in heard:
        found = _judge(found, jnp.int32(action), jnp.float32(gain), **RULE | rule)
    return found


def test_by_hand() -> None:
    """Four answers that lose 0.1, 0.2, 0.1, 0.2: mean −0.15, error 0.029; three would not be enough."""
    losses = [(2, -0.1), (2, -0.2), (2, -0.1), (2, -0.2)]
    assert gate.open_to(after(losses[:3])).tolist() == [True, True, True, True]
    found = after(losses)
    assert gate.open_to(found).tolist() == [True, True, False, True]
    assert float(found.mean[1]) == pytest.approx(-0.15) and int(found.heard[1]) == 4


def test_a_loss_within_its_error_is_not_held_against_a_tier() -> None:
    assert not after([(3, -1.0), (3, 0.9), (3, -1.0), (3, 0.9)]).off.any()


def test_off_is_for_good() -> None:
    found = after([(2, -0.5)] * 4 + [(2, 1.0)] * 8)
    assert found.off.tolist() == [False, True, False]


def test_the_cheapest_tier_is_never_off() -> None:
    assert not after([(0, -1.0)] * 8).off.any()


@settings(max_examples=50, deadline=None)
@given(gains)
def test_numpy_agrees_on_mean_and_error(heard: list[tuple[int, float]]) -> None:
    found = after(heard)
    for tier in range(3):
        own = np.array([gain for action, gain in heard if int(TIER[action]) == tier and np.isfinite(gain)])
        assert int(found.heard[tier]) == len(own)
        if len(own):
            assert float(found.mean[tier]) == pytest.approx(own.mean(), abs=1e-5)
            assert float(found.squares[tier]) == pytest.approx(((own - own.mean()) ** 2).sum(), abs=1e-4)
