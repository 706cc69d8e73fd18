"""The kept bfloat16 copy of the weights."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rag_lab.encoder import half
from rag_lab.kernels.transformer import Layer, Transformer


def weights(layers: int) -> Transformer:
    """Numbers that bfloat16 must round, every array another."""
    random = np.random.default_rng(0)

    def array(*shape: int) -> jax.Array:
        return jnp.asarray(random.normal(size=shape), jnp.float32)

    def layer() -> Layer:
        return Layer(*(array(2, 6) if "bias" not in name else array(6) for name in Layer._fields))

    return Transformer(array(5, 2), array(3, 2), array(2), array(2), tuple(layer() for _ in range(layers)))


@pytest.mark.parametrize("layers", [1, 11])
def test_what_is_read_is_what_was_written_rounded_once(layers: int, tmp_path: Path) -> None:
    full = weights(layers)
    found = half.kept(tmp_path / "weights" / "one.npz", lambda: full)
    assert jax.tree.structure(found) == jax.tree.structure(full)
    for one, wide in zip(jax.tree.leaves(found), jax.tree.leaves(full), strict=True):
        assert one.dtype == jnp.bfloat16 and (one == wide.astype(jnp.bfloat16)).all()


def test_the_full_weights_are_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "one.npz"
    half.kept(path, lambda: weights(2))
    assert len(half.kept(path, lambda: pytest.fail("asked again")).layers) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["one.npz"]
