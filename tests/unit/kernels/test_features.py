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

from rag_lab.kernels.features import Signals, signals

_signals = jax.jit(signals)
PLACES = 14
lists = arrays(np.float32, PLACES, elements=st.floats(0, 20, width=32, allow_subnormal=False))
cosines = arrays(np.float32, PLACES, elements=st.floats(-1, 1, width=32, allow_subnormal=False))


def measured(lexical: np.ndarray, dense: np.ndarray, count: int) -> dict[str, float]:
    """The figures of a pool whose first `count` places are real."""
    found = _signals(jnp.array(lexical), jnp.array(dense), jnp.arange(PLACES) < count)
    return {name: float(value) for name, value in found._asdict().items()}


def test_by_hand() -> None:
    lexical, dense = jnp.array([4.0, 0.0, 2.0, 99.0]), jnp.array([0.5, 0.9, 0.3, 99.0])
    found = signals(lexical, dense, jnp.array([True, True, True, False]))
    expected = Signals(
        lexical_top=4, lexical_gap_2=2 / 4, lexical_gap_10=4 / 4, lexical_spread=(8 / 3) ** 0.5 / 4,
        dense_top=0.9, dense_gap_2=0.4, dense_gap_10=0.6, dense_spread=(0.56 / 9) ** 0.5,
        overlap_10=1, overlap_100=1,
        agreement=-0.5,  # ranks 1 3 2 against 2 1 3: 1 − 6 · (1 + 4 + 1) / (3 · 8)
        dense_of_lexical_best=1 / 3, lexical_of_dense_best=0, matches=2 / 3,
    )  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(lists, cosines, st.integers(1, PLACES))
def test_the_naive_figures_agree(lexical: np.ndarray, dense: np.ndarray, count: int) -> None:
    found = measured(lexical, dense, count)
    expected = reference.signals(lexical[:count].astype(float), dense[:count].astype(float), [], {}, 1)
    for name, value in found.items():
        assert value == pytest.approx(expected[name], rel=1e-3, abs=1e-3), name


@settings(max_examples=25, deadline=None)
@given(lists, cosines, st.integers(0, PLACES))
def test_they_are_finite_and_shares_are_shares(lexical: np.ndarray, dense: np.ndarray, count: int) -> None:
    found = measured(lexical, dense, count)
    assert np.isfinite(list(found.values())).all()
    for name in (
        "lexical_gap_2",
        "lexical_gap_10",
        "overlap_10",
        "overlap_100",
        "matches",
        "lexical_of_dense_best",
    ):
        assert -1e-6 <= found[name] <= 1 + 1e-6, name
    assert -1 - 1e-5 <= found["agreement"] <= 1 + 1e-5


def test_without_a_real_place_all_are_zero() -> None:
    assert set(measured(np.ones(PLACES), np.ones(PLACES), 0).values()) == {0}


def test_rankers_that_agree_and_rankers_that_do_not() -> None:
    scores = np.arange(PLACES, dtype=np.float32)
    same, reverse = measured(scores, scores / 20, PLACES), measured(scores, -scores / 20, PLACES)
    assert same["agreement"] == pytest.approx(1) and reverse["agreement"] == pytest.approx(-1)
    assert same["overlap_10"] == 1 and reverse["overlap_10"] == pytest.approx(0.6)
    assert same["dense_of_lexical_best"] == 1 and reverse["dense_of_lexical_best"] == 0


@settings(max_examples=25, deadline=None)
@given(lists, cosines, st.integers(1, PLACES), st.floats(0.25, 4, width=32))
def test_bm25_s_scale_does_not_matter_beyond_its_best_score(
    lexical: np.ndarray, dense: np.ndarray, count: int, scale: float
) -> None:
    lexical = np.round(lexical)
    plain, scaled = measured(lexical, dense, count), measured(lexical * np.float32(scale), dense, count)
    assert scaled.pop("lexical_top") == pytest.approx(plain.pop("lexical_top") * scale, rel=1e-5)
    assert scaled == pytest.approx(plain, abs=1e-4)


def test_eager_jitted_and_vmapped(alike: Callable[..., None]) -> None:
    random = np.random.default_rng(0)
    examples = [
        (
            jnp.array(random.random(PLACES) * 9, jnp.float32),
            jnp.array(random.random(PLACES), jnp.float32),
            jnp.array(random.random(PLACES) < 0.7),
        )
        for _ in range(4)
    ]
    alike(signals, examples)


def test_shapes_are_checked() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        signals(jnp.ones(3), jnp.ones(4), jnp.ones(3, bool))
